# leat's one Makefile. `make help` lists the goals; every goal works from a fresh clone.
#   MODE=release|test   test has the named test points (LEAT_POINT); made by `make test`
#   SAN=address|thread  with sanitizers (address includes undefined)
#   CC=gcc|clang  WERROR=1  V=1

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
TEST_GOALS := test unit integration kill-loop chaos fuzz bench tests
MODE ?= $(if $(filter $(TEST_GOALS),$(MAKECMDGOALS)),test,release)
SAN ?=
compiler := $(notdir $(CC))
B := build/$(MODE)$(if $(SAN),-$(SAN))$(if $(filter-out gcc,$(compiler)),-$(compiler))

PACKAGES := libcurl libcrypto libpq json-c libcbor yaml-0.1 libmicrohttpd zlib
# A machine without pkg-config still gets `make help` and `make deps`.
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
LIBS := -lcurl -lcrypto -lpq -ljson-c -lcbor -lyaml -lmicrohttpd -lz -lm -ldl -lpthread

WARNINGS := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
	-Wvla -Wundef -Wformat=2 -Wwrite-strings -Wno-missing-field-initializers -Wno-unused-parameter
ifneq ($(filter clang%,$(compiler)),)
WARNINGS += -Wthread-safety -Wno-gnu-statement-expression
endif
HARDENING := -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 \
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
ifneq ($(SAN),)
LDHARDENING := -Wl,--as-needed
endif
BASE_CFLAGS := -std=gnu17 $(WARNINGS) $(if $(WERROR),-Werror) $(HARDENING) $(SANITIZE) -fPIC \
	-fvisibility=hidden -ffunction-sections -fdata-sections -D_GNU_SOURCE \
	-DLEAT_VERSION='"$(VERSION)"' $(if $(filter test,$(MODE)),-DLEAT_TEST_POINTS) \
	-Ilib/include -Ilib -I. $(PKG_CFLAGS)
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
all: $(B)/leat $(PLUGINS) ## build the program and the plugins (the default)

$(LIBLEAT): $(LIB_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/leat: $(WORKER_OBJECTS) $(LIBLEAT)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDHARDENING) -Wl,--gc-sections -o $@ $(WORKER_OBJECTS) $(LIBLEAT) $(LIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) -c -o $@ $<

$(B)/gen/%.o: $(B)/gen/%.c
	$(Q)$(COMPILE) -c -o $@ $<

# The migrations, embedded: role, version, name, text (lib/postgres/schemas.h).
$(B)/gen/schemas.c: $(SCHEMAS) tools/embed-schemas Makefile
	@mkdir -p $(@D)
	$(Q)sh tools/embed-schemas $(SCHEMAS) >$@

# One folder, one plugin: plugins/<kind>/<name>/*.c -> plugins/<name>.so
define plugin_rule
$(B)/plugins/$(notdir $(1)).so: $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/*.c)) $(if $(filter plugins/targets/%,$(1)),$(LIBLEAT))
	@mkdir -p $$(@D)
	$(call say,PLUG,$$@)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDHARDENING) -shared -Wl,--gc-sections -Wl,--exclude-libs,ALL -o $$@ \
		$$(filter %.o,$$^) $(if $(filter plugins/targets/%,$(1)),$(LIBLEAT) $(LIBS),-ljson-c -lm)
endef
$(foreach d,$(PLUGIN_DIRS),$(eval $(call plugin_rule,$(d))))

# ---- tests -------------------------------------------------------------------------------------
SUPPORT_OBJECTS := $(patsubst %.c,$(B)/%.o,$(wildcard tests/support/*.c))
UNIT_TESTS := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/*/*.c tests/unit/*/*/*.c))
INTEGRATION_TESTS := $(patsubst %.c,$(B)/%,$(wildcard tests/integration/*.c))
INTEGRATION_SCRIPTS := $(wildcard tests/integration/*.sh)
BENCHES := $(patsubst %.c,$(B)/%,$(wildcard tests/bench/*.c))
FUZZERS := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/*.c))
BAD_PLUGINS := $(patsubst tests/badplugins/%.c,$(B)/badplugins/%.so,$(wildcard tests/badplugins/*.c))
TEST_LIBS := -lcheck -lsubunit -lrt $(LIBS)

$(B)/libsupport.a: $(SUPPORT_OBJECTS)
	$(Q)rm -f $@ && ar rcs $@ $^

$(UNIT_TESTS) $(INTEGRATION_TESTS) $(BENCHES): $(B)/tests/%: $(B)/tests/%.o $(B)/libsupport.a $(LIBLEAT)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) -Wl,--gc-sections -o $@ $< $(B)/libsupport.a $(LIBLEAT) $(TEST_LIBS)

$(B)/badplugins/%.so: $(B)/tests/badplugins/%.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) -shared -o $@ $<

.PHONY: tests unit integration test
tests: all $(UNIT_TESTS) $(INTEGRATION_TESTS) $(BENCHES) $(BAD_PLUGINS)

unit: all $(UNIT_TESTS) $(BAD_PLUGINS) ## the unit tests alone
	$(Q)LEAT_BUILD=$(CURDIR)/$(B) tests/run $(UNIT_TESTS)

integration: all $(INTEGRATION_TESTS) $(BAD_PLUGINS) ## the tests against real servers
	$(Q)LEAT_BUILD=$(CURDIR)/$(B) tests/run $(INTEGRATION_TESTS) $(INTEGRATION_SCRIPTS)

test: deps-test-if-missing tests ## every test; closes with `N passed, N failed`
	$(Q)LEAT_BUILD=$(CURDIR)/$(B) tests/run $(UNIT_TESTS) $(INTEGRATION_TESTS) $(INTEGRATION_SCRIPTS)

.PHONY: clean
clean: ## remove everything that was built
	rm -rf build

include tools/goals.mk

-include $(shell find $(B) -name '*.d' 2>/dev/null)
