.PHONY: test lint format coverage slow docs

test:
	python -m pytest -q -n 2 --dist worksteal

slow:
	python -m pytest -q -m slow

coverage:
	python -m pytest -q --cov --cov-report=term-missing:skip-covered --cov-fail-under=90

docs:
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict --quiet

lint:
	ruff check .
	ruff format --check .
	mypy
	lint-imports

format:
	ruff format .
	ruff check --fix .
