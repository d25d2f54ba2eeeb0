# The same steps by hand and in CI.
.PHONY: check format lint types test bench

check: lint types test  ## all that CI runs

format:  ## rewrite the code in the house style
	uv run ruff format .
	uv run ruff check --fix .

lint:
	uv lock --check
	uv run ruff format --check .
	uv run ruff check .

types:
	uv run mypy

test:
	uv run pytest

bench:  ## figures for benchmarks/RESULTS.md, three hours
	uv run python benchmarks/startup.py
	uv run python benchmarks/overhead.py
	uv run python benchmarks/steps.py
	uv run python benchmarks/loading.py
	uv run python benchmarks/eda.py
	uv run python benchmarks/artists.py
	uv run python benchmarks/neural.py
	uv run python benchmarks/neural_memory.py
	uv run python benchmarks/batches.py
	uv run python benchmarks/overfitting.py
	uv run python benchmarks/search.py
	uv run python benchmarks/pruners.py --left-out 0.9 --orders 40
	uv run python benchmarks/linear.py
	uv run python benchmarks/many_trials.py
	uv run python benchmarks/agreement.py
	uv run python benchmarks/workers.py
	uv run python benchmarks/chaos.py
