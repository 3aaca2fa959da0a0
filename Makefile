# leat's one Makefile. `make help` lists the goals; every goal works from a fresh clone.
#   MODE=release|test   test has the named test points (LEAT_POINT); made by `make test`
#   SAN=address|thread|fuzz  with sanitizers (address includes undefined; fuzz needs CC=clang)
#   CC=gcc|clang  WERROR=1  V=1  (V shows the commands)

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=

ifeq ($(origin CC),default)
CC := gcc
endif
CXX ?= g++
TEST_GOALS := test unit integration hostile kill-loop chaos differential fuzz bench tests valgrind
MODE ?= $(if $(filter $(TEST_GOALS),$(MAKECMDGOALS)),test,release)
SAN ?=
ifneq ($(filter-out release test,$(MODE)),)
$(error MODE=$(MODE): release or test)
endif
ifneq ($(filter-out address thread fuzz,$(SAN)),)
$(error SAN=$(SAN): address, thread or fuzz)
endif
compiler := $(notdir $(CC))
B := build/$(MODE)$(if $(SAN),-$(SAN))$(if $(filter-out gcc,$(compiler)),-$(compiler))

PACKAGES := libcurl libcrypto libpq json-c libcbor yaml-0.1 libmicrohttpd zlib
# Asked once, and only when something is compiled: `make help` and `make deps` need no pkg-config.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null))$(PKG_CFLAGS)
LIBS := -lcurl -lcrypto -lpq -ljson-c -lcbor -lyaml -lmicrohttpd -lz -lm -ldl -lpthread

WARNINGS := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
	-Wvla -Wundef -Wformat=2 -Wwrite-strings -Wno-missing-field-initializers -Wno-unused-parameter
ifneq ($(filter clang%,$(compiler)),)
WARNINGS += -Wthread-safety -Wno-gnu-statement-expression
endif
# What this compiler and this kind of machine have. Asked once, and only when something is compiled.
COMPILER_HARDENING = $(eval COMPILER_HARDENING := $(shell tools/hardening $(CC)))$(COMPILER_HARDENING)
HARDENING = -fstack-protector-strong -fstack-clash-protection $(COMPILER_HARDENING) \
	-fno-delete-null-pointer-checks -fno-strict-overflow
LDHARDENING := -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed -Wl,-z,defs

CFLAGS ?= -O2 -g
ifeq ($(SAN),address)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
HARDENING := -fstack-protector-strong
endif
ifeq ($(SAN),thread)
SANITIZE := -fsanitize=thread -fno-omit-frame-pointer
HARDENING := -fstack-protector-strong
endif
ifeq ($(SAN),fuzz)
SANITIZE := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
HARDENING := -fstack-protector-strong
endif
# A sanitizer's symbols are the program's: plugins cannot be closed (-z defs) with one.
ifneq ($(SAN),)
LDHARDENING := -Wl,--as-needed
endif
# The folder that it was built in is in no file: the same sources give the same bytes elsewhere.
BASE_CFLAGS = -std=gnu17 $(WARNINGS) $(if $(WERROR),-Werror) $(HARDENING) $(SANITIZE) -fPIC -ffile-prefix-map=$(CURDIR)=. \
	-fvisibility=hidden -ffunction-sections -fdata-sections -D_GNU_SOURCE \
	-DLEAT_VERSION='"$(VERSION)"' $(if $(filter test,$(MODE)),-DLEAT_TEST_POINTS) \
	-Ilib/include -Ilib -I. -Itests $(PKG_CFLAGS)
COMPILE = $(CC) $(BASE_CFLAGS) $(CFLAGS) -MMD -MP
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

LIB_SOURCES := $(wildcard lib/*/*.c lib/*/*/*.c)
WORKER_SOURCES := $(wildcard worker/*.c worker/*/*.c)
PLUGIN_DIRS := $(wildcard plugins/processors/* plugins/targets/*)
PLUGINS := $(foreach d,$(PLUGIN_DIRS),$(if $(wildcard $(d)/*.c),$(B)/plugins/$(notdir $(d)).so))
SCHEMAS := $(sort $(wildcard schemas/*/*.sql))

LIB_OBJECTS := $(LIB_SOURCES:%.c=$(B)/%.o) $(B)/gen/schemas.o
WORKER_OBJECTS := $(WORKER_SOURCES:%.c=$(B)/%.o)
LIBLEAT := $(B)/libleat.a

.PHONY: all
all: $(if $(WORKER_SOURCES),$(B)/leat) $(LIBLEAT) $(PLUGINS) ## build the program and the plugins (the default)

$(LIBLEAT): $(LIB_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcsD $@ $^

$(B)/leat: $(WORKER_OBJECTS) $(LIBLEAT)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDHARDENING) -Wl,--gc-sections -o $@ $(WORKER_OBJECTS) $(LIBLEAT) $(LIBS)

# Order only: says what is missing before the compiler does.
$(B)/%.o: %.c | need-packages
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) -c -o $@ $<

$(B)/gen/%.o: $(B)/gen/%.c
	$(Q)$(COMPILE) -c -o $@ $<

# The migrations, embedded: role, version, name, text (lib/postgres/schemas.h).
$(B)/gen/schemas.c: $(SCHEMAS) tools/embed-schemas Makefile
	@mkdir -p $(@D)
	$(Q)sh tools/embed-schemas $(SCHEMAS) >$@

# One folder, one plugin: plugins/<kind>/<name>/*.c -> plugins/<name>.so. What the shipped ones use of libleat is linked
# into them, hidden: a plugin needs no symbol of the program's. leat loads none that others may write, whatever the umask here.
define plugin_rule
$(B)/plugins/$(notdir $(1)).so: $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/*.c)) $(LIBLEAT)
	@mkdir -p $$(@D)
	$(call say,PLUG,$$@)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDHARDENING) -shared -Wl,--gc-sections -Wl,--exclude-libs,ALL -o $$@ \
		$$(filter %.o,$$^) $(LIBLEAT) $(LIBS)
	@chmod go-w $$(@D) $$@
endef
$(foreach d,$(PLUGIN_DIRS),$(eval $(call plugin_rule,$(d))))

# ---- tests -------------------------------------------------------------------------------------
# Of chaos all but the program itself: its deciders have unit tests.
SUPPORT_OBJECTS := $(patsubst %.c,$(B)/%.o,$(wildcard tests/support/*.c) $(filter-out tests/chaos/chaos.c,$(wildcard tests/chaos/*.c))) \
	$(B)/gen/points.o
UNIT_TESTS := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/*/*.c tests/unit/*/*/*.c))
INTEGRATION_TESTS := $(patsubst %.c,$(B)/%,$(wildcard tests/integration/*.c))
INTEGRATION_SCRIPTS := $(wildcard tests/integration/*.sh)
CHAOS := $(B)/tests/chaos/chaos
CHAOS_PLUGINS := $(patsubst tests/chaos/plugin/%.c,$(B)/chaos/%.so,$(wildcard tests/chaos/plugin/*.c))
BENCHES := $(patsubst %.c,$(B)/%,$(wildcard tests/bench/*.c))
HOSTILE := $(B)/tests/hostile/hostile
SIMULATE := $(if $(wildcard tests/simulate/*.c),$(B)/tests/simulate/simulate)
FUZZERS := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/*.c))
BAD_PLUGINS := $(patsubst tests/badplugins/%.c,$(B)/badplugins/%.so,$(wildcard tests/badplugins/*.c))
PRELOADS := $(patsubst tests/preload/%.c,$(B)/preload/%.so,$(wildcard tests/preload/*.c))
TEST_LIBS := -lcheck -lsubunit -lrt $(LIBS) -lssl

$(B)/libsupport.a: $(SUPPORT_OBJECTS)
	$(Q)rm -f $@ && ar rcsD $@ $^

$(UNIT_TESTS) $(INTEGRATION_TESTS) $(BENCHES) $(CHAOS): $(B)/tests/%: $(B)/tests/%.o $(B)/libsupport.a $(LIBLEAT)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) -Wl,--gc-sections -o $@ $< $(B)/libsupport.a $(LIBLEAT) $(TEST_LIBS)

$(HOSTILE): $(patsubst %.c,$(B)/%.o,$(wildcard tests/hostile/*.c)) $(B)/libsupport.a $(LIBLEAT)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) -Wl,--gc-sections -o $@ $^ $(TEST_LIBS)

$(SIMULATE): $(patsubst %.c,$(B)/%.o,$(wildcard tests/simulate/*.c)) $(B)/libsupport.a $(LIBLEAT)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) -Wl,--gc-sections -o $@ $^ $(TEST_LIBS)

$(FUZZERS): $(B)/tests/%: $(B)/tests/%.o $(LIBLEAT)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -fsanitize=fuzzer,address,undefined -o $@ $(filter %.o,$^) $(LIBLEAT) $(LIBS)
# A plugin's parsers are not in libleat: its target is linked with all of the plugin.
$(B)/tests/fuzz/rollup: $(patsubst %.c,$(B)/%.o,$(wildcard plugins/processors/rollup/*.c))

$(BAD_PLUGINS): $(B)/badplugins/%.so: $(B)/tests/badplugins/%.o
	@mkdir -p $(@D)
	$(call say,PLUG,$@)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) -shared -o $@ $<
	@chmod go-w $(@D) $@

$(CHAOS_PLUGINS): $(B)/chaos/%.so: $(B)/tests/chaos/plugin/%.o
	@mkdir -p $(@D)
	$(call say,PLUG,$@)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) -shared -o $@ $<
	@chmod go-w $(@D) $@

# The names of all test points: chaos draws from them.
$(B)/gen/points.c: $(LIB_SOURCES) tools/list-points
	@mkdir -p $(@D)
	$(Q)sh tools/list-points $(LIB_SOURCES) >$@

# What a test puts before a worker's libc (LD_PRELOAD): no sanitizer, no hidden symbols.
$(PRELOADS): $(B)/preload/%.so: tests/preload/%.c
	@mkdir -p $(@D)
	$(call say,SHIM,$@)
	$(Q)$(CC) -std=gnu17 $(WARNINGS) $(if $(WERROR),-Werror) $(CFLAGS) -D_GNU_SOURCE -fPIC -shared -o $@ $<

# ThreadSanitizer of this generation cannot map its shadow where the kernel randomizes too much.
RUN_TESTS = $(if $(filter thread,$(SAN)),$(shell setarch -R true 2>/dev/null && echo setarch -R)) \
	env LEAT_BUILD=$(CURDIR)/$(B) $(SAN_ENV) tests/run
# Workers are killed and their logs removed: what they report goes to files, and fails the test.
SAN_ENV_address = LEAT_TEST_REPORTS=$(CURDIR)/$(B)/reports \
	ASAN_OPTIONS=detect_stack_use_after_return=1:$$ASAN_OPTIONS \
	UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:$$UBSAN_OPTIONS \
	LSAN_OPTIONS=$(if $(wildcard tests/support/lsan.supp),suppressions=$(CURDIR)/tests/support/lsan.supp:print_suppressions=0:)$$LSAN_OPTIONS
SAN_ENV_thread = LEAT_TEST_REPORTS=$(CURDIR)/$(B)/reports \
	TSAN_OPTIONS=second_deadlock_stack=1:$(if $(wildcard tests/support/tsan.supp),suppressions=$(CURDIR)/tests/support/tsan.supp:)$$TSAN_OPTIONS
SAN_ENV = $(if $(SAN),CK_TIMEOUT_MULTIPLIER=$${CK_TIMEOUT_MULTIPLIER:-5} $(SAN_ENV_$(SAN)))

.PHONY: tests unit integration test test-built valgrind
tests: all $(UNIT_TESTS) $(INTEGRATION_TESTS) $(BENCHES) $(SIMULATE) $(HOSTILE) $(CHAOS) $(BAD_PLUGINS) $(PRELOADS) $(CHAOS_PLUGINS) ## build every test, run none

unit: all $(UNIT_TESTS) $(BAD_PLUGINS) ## the unit tests alone
	$(Q)$(RUN_TESTS) $(UNIT_TESTS)

integration: all $(INTEGRATION_TESTS) $(SIMULATE) $(BAD_PLUGINS) $(PRELOADS) ## the tests against real servers
	$(Q)$(RUN_TESTS) $(INTEGRATION_TESTS) $(INTEGRATION_SCRIPTS)

valgrind: all $(UNIT_TESTS) $(BAD_PLUGINS) ## the unit tests under valgrind
	$(Q)LEAT_TEST_SLOW=skip LEAT_TEST_JOBS=$${LEAT_TEST_JOBS:-$$(nproc)} \
		LEAT_TEST_WRAPPER="valgrind -q --error-exitcode=9 --leak-check=full \
		--errors-for-leak-kinds=definite $(if $(wildcard tests/support/valgrind.supp),--suppressions=tests/support/valgrind.supp)" \
		$(RUN_TESTS) $(UNIT_TESTS)

# Packages first, then a make that sees them.
test: ## every test; closes with `N passed, N failed`
	$(Q)tools/deps --test --if-missing
	$(Q)+$(MAKE) --no-print-directory MODE=$(MODE) test-built

test-built: tests
	$(Q)$(RUN_TESTS) $(UNIT_TESTS) $(INTEGRATION_TESTS) $(INTEGRATION_SCRIPTS)

# Answers and records that mean harm: KIND="NAME..." for some of them, KIND=--short for those of CI.
.PHONY: hostile
hostile: all $(HOSTILE) $(BAD_PLUGINS) ## answers and records that mean harm, each against a real worker (KIND="name list-*")
	$(Q)env LEAT_BUILD=$(CURDIR)/$(B) $(SAN_ENV) $(HOSTILE) $(KIND)

.PHONY: clean
clean: ## remove everything that was built
	rm -rf build

include tools/goals.mk

-include $(shell find $(B) -name '*.d' 2>/dev/null)
