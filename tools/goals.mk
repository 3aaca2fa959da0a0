# The goals that are not compilation: deps, check, demo, bench, install. Included by the Makefile.
.PHONY: help deps deps-test deps-test-if-missing
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile tools/goals.mk | sed 's/:.*## /\t/' | sort | expand -t 20
deps-test-if-missing:
