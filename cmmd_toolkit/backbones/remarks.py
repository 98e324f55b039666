"""What must be said of a backbone's numbers wherever they appear, also where they were stored before."""

MINI_REMARK = (
    "mini: its numbers are for watching a run and ranking sets; they are not comparable with published CMMD or FID"
)
REMARKS = {"mini": MINI_REMARK}
