/* The plugin of tests/abi/ as the headers are today: tests/unit/abi/binary.c runs it beside the binaries of old. */
#include "../abi/minimal.c"
