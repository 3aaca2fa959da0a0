# The goals that are not compilation: deps, check, demo, bench, install. Included by the Makefile.

.PHONY: help
help: ## this list
	@echo 'make [GOAL] [MODE=release|test] [SAN=address|thread] [CC=gcc|clang] [WERROR=1] [V=1]'; echo
	@sed -nE 's/^([a-z_.-]+):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) tools/goals.mk | sort | expand -t 24

# ---- packages ----------------------------------------------------------------------------------
.PHONY: check-debian deps deps-test deps-if-missing deps-test-if-missing need-packages
deps: ## install the Debian packages to build and run
	@tools/deps

deps-test: ## … and those of the tests and of `make check`
	@tools/deps --test

deps-if-missing:
	@tools/deps --if-missing

deps-test-if-missing:
	@tools/deps --test --if-missing

# LEAT_TEST_JOBS= hands on how many test files run at a time.
check-debian: ## by hand, as root: `make demo` and `make test` in a fresh Debian (SUITE=trixie, GOALS=, KEEP=1)
	@SUITE='$(SUITE)' GOALS='$(GOALS)' MIRROR='$(MIRROR)' KEEP='$(KEEP)' tools/check-debian

need-packages:
	@command -v $(CC) >/dev/null && command -v pkg-config >/dev/null && pkg-config --exists $(PACKAGES) || { \
		echo 'packages are missing: run `make deps`' >&2; \
		command -v $(CC) >/dev/null || echo '(there is no compiler $(CC))' >&2; \
		command -v pkg-config >/dev/null && pkg-config --print-errors --exists $(PACKAGES) 2>&1 | grep '^No package' >&2; \
		exit 1; }

# ---- checks ------------------------------------------------------------------------------------
SOURCE_FOLDERS := $(wildcard lib worker plugins tests)
ALL_C = $(shell find $(SOURCE_FOLDERS) -path '*/node_modules' -prune -o -name '*.[ch]' -print | sort)
PUBLIC_HEADERS := $(wildcard lib/include/leat/*.h)
INCLUDES := -Ilib/include -Ilib -I.

.PHONY: check house check-layers check-size check-references check-house check-format check-banned check-headers check-clang
check: check-layers check-size check-references check-house check-banned check-format check-headers check-clang ## layers, sizes, references, circles of calls, format, headers, clang's warnings and thread safety
	@echo 'check: all good'

check-layers: ## includes point one way
	@tools/check-layers

check-size: ## files, functions and parameter lists end somewhere
	@tools/check-size

check-references: ## files and sections that comments and pages name are there
	@tools/check-references

check-house: ## circles of calls, structs open to all, full folders: none gets worse
	@tools/check-house

house: ## all circles of calls and what would open them, who touches which field of the large structs, folders
	@tools/check-house --report

check-banned: ## no unbounded string functions, no sleeping
	@tools/check-banned

check-format: ## what clang-format would change
	@clang-format --dry-run -Werror $(ALL_C) && echo 'format: ok'

# Public headers stand alone, in C99, C17 and C++17; the inner ones in the library's own C.
check-headers: need-packages ## headers compile alone, the public ones in C and C++
	@set -e; for header in $(PUBLIC_HEADERS); do \
		for language in 'c -std=c99 -Wstrict-prototypes' 'c -std=c17 -Wstrict-prototypes' 'c++ -std=c++17'; do \
			clang -x $$language -pedantic -Wall -Wextra -Werror -Wno-unused-parameter -Wno-unused-function \
				-Wno-pragma-once-outside-header -Ilib/include -fsyntax-only $$header || \
				{ echo "$$header: does not compile alone as $$language" >&2; exit 1; }; \
		done; \
	done
	@find lib -name '*.h' -not -path 'lib/include/*' | sort | xargs -r -P2 -n1 clang -x c -std=gnu17 -Werror \
		-Wno-pragma-once-outside-header -Wno-unused-function -D_GNU_SOURCE $(INCLUDES) $(PKG_CFLAGS) -fsyntax-only
	@echo 'headers: ok'

# What clang says of every file, its thread-safety analysis too; without code, so a quarter of a minute and not four.
check-clang: need-packages ## clang's warnings and its thread-safety analysis are errors
	@find $(SOURCE_FOLDERS) -path '*/node_modules' -prune -o -name '*.c' -print | sort | xargs -r -P2 -n4 clang -std=gnu17 \
		-fsyntax-only $(WARNINGS) -Wthread-safety -Wno-gnu-statement-expression -Werror -D_GNU_SOURCE -DLEAT_TEST_POINTS \
		-DLEAT_VERSION='"$(VERSION)"' $(INCLUDES) -Itests $(PKG_CFLAGS)
	@echo 'clang: ok'

# The analyzer proper: minutes. By hand, before a release: what it takes for a fault changes with each of its versions.
.PHONY: analyze
analyze: need-packages ## clang's static analyzer
	@find $(wildcard lib worker plugins) -name '*.c' | sort | xargs -r -P2 -n1 clang --analyze -std=gnu17 -w \
		-Xclang -analyzer-output=text -Xclang -analyzer-werror -D_GNU_SOURCE -DLEAT_VERSION='"$(VERSION)"' \
		$(INCLUDES) $(PKG_CFLAGS) -o /dev/null
	@echo 'analyzer: ok'

# ---- running it --------------------------------------------------------------------------------
.PHONY: demo bench simulate fuzz fuzz-built kill-loop chaos model
demo: ## a stream, workers and a database on this machine, and what they survive (KEEP=1 leaves it up)
	@tools/deps --if-missing
	+$(Q)$(MAKE) --no-print-directory MODE=$(MODE) all
	@LEAT_BUILD=$(CURDIR)/$(B) KEEP=$(KEEP) tools/demo

# The figures are of the release build; the benches' own programs are built with it.
bench: ## the figures, as JSON lines
	+$(Q)$(MAKE) --no-print-directory MODE=release all $(patsubst $(B)/%,build/release/%,$(BENCHES))
	@LEAT_BUILD=$(CURDIR)/build/release tests/bench/run

FUZZ_SECONDS ?= 10
fuzz: ## each fuzz target for FUZZ_SECONDS (10); F=name for one
	+$(Q)$(MAKE) --no-print-directory SAN=fuzz CC=clang MODE=test fuzz-built

fuzz-built: $(FUZZERS)
	@LEAT_BUILD=$(CURDIR)/$(B) FUZZ_SECONDS=$(FUZZ_SECONDS) tools/fuzz $(filter %$(F),$(FUZZERS))

model: ## the protocol as a model: spin checks that it holds, and that no rule of it is idle (docs/leases.md)
	@tests/model/run; code=$$?; [ $$code = 77 ] || exit $$code

# The release build: how long a pass takes is one of the figures.
simulate: ## who gets which lease, over 10,000 shards and 200 workers (SEED=, STEPS=); charts in build/simulate
	+$(Q)$(MAKE) --no-print-directory MODE=release $(patsubst $(B)/%,build/release/%,$(SIMULATE))
	@mkdir -p build/simulate
	@SEED=$(SEED) STEPS=$(STEPS) PLOTS=build/simulate build/release/tests/simulate/simulate

kill-loop: tests ## workers killed again and again; the table must be exact
	@LEAT_BUILD=$(CURDIR)/$(B) tests/chaos/kill-loop

.PHONY: differential
differential: all $(B)/tests/integration/differential ## random histories, one record a commit against random cuts: ROUNDS=5000 SEED=1
	$(Q)LEAT_BUILD=$(CURDIR)/$(B) ROUNDS=$(or $(ROUNDS),5000) SEED=$(or $(SEED),1) $(B)/tests/integration/differential

chaos: all $(CHAOS) $(CHAOS_PLUGINS) ## a storm of faults over real workers: SEED= N=faults RECORDS= WORKERS= GAP_MS= (tests/chaos/README.md)
	@LEAT_BUILD=$(CURDIR)/$(B) $(CHAOS) "$(SEED)" "$(N)" "$(RECORDS)" "$(WORKERS)" "$(GAP_MS)"

# ---- for editors -------------------------------------------------------------------------------
COMMAND_SOURCES = $(LIB_SOURCES) $(WORKER_SOURCES) $(wildcard plugins/*/*/*.c tests/support/*.c tests/unit/*/*.c \
	tests/unit/*/*/*.c tests/integration/*.c tests/chaos/*.c tests/chaos/plugin/*.c tests/bench/*.c tests/simulate/*.c tests/fuzz/*.c tests/badplugins/*.c)
.PHONY: compile_commands.json
compile_commands.json: ## for clangd and other editors' helpers
	@separator='['; { for file in $(COMMAND_SOURCES); do \
		printf '%s\n{"directory": "%s", "file": "%s", "command": "%s"}' "$$separator" '$(CURDIR)' "$$file" \
			'$(subst ",\",$(subst ','\'',$(CC) $(BASE_CFLAGS) $(CFLAGS)))'" -c $$file"; separator=','; \
	done; printf '\n]\n'; } >$@
	@echo 'compile_commands.json: written'

# ---- install -----------------------------------------------------------------------------------
bindir := $(PREFIX)/bin
libdir := $(PREFIX)/lib
includedir := $(PREFIX)/include
.PHONY: install uninstall
install: all ## program, plugins, headers, leat.pc (DESTDIR, PREFIX)
	install -d '$(DESTDIR)$(bindir)' '$(DESTDIR)$(libdir)/leat/plugins' '$(DESTDIR)$(includedir)/leat' \
		'$(DESTDIR)$(libdir)/pkgconfig'
	install -m 755 $(B)/leat '$(DESTDIR)$(bindir)/leat'
	$(if $(PLUGINS),install -m 644 $(PLUGINS) '$(DESTDIR)$(libdir)/leat/plugins/')
	install -m 644 $(PUBLIC_HEADERS) '$(DESTDIR)$(includedir)/leat/'
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' tools/leat.pc.in >'$(DESTDIR)$(libdir)/pkgconfig/leat.pc'
	chmod 644 '$(DESTDIR)$(libdir)/pkgconfig/leat.pc'

uninstall: ## remove what install put there
	rm -f '$(DESTDIR)$(bindir)/leat' $(PLUGINS:$(B)/plugins/%='$(DESTDIR)$(libdir)/leat/plugins/%') \
		$(PUBLIC_HEADERS:lib/include/%='$(DESTDIR)$(includedir)/%') '$(DESTDIR)$(libdir)/pkgconfig/leat.pc'
