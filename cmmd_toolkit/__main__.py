"""`python -m cmmd_toolkit` is `cmmd`, and shares its work among the processes of torchrun and accelerate launch.

`cmmd` itself never does: a training job with many processes may call it from one of them.
"""

from .cli.main import main

main.shares_work = True
main()
