# Short names for what CMake, ctest and the scripts in tools/ do. `make demo` and `make test` need
# nothing but make and git on a Debian 12, as root or with sudo.

JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 600
BITS_REPEATS ?= 200
FLAT_RUNS ?= 100000
SHUTDOWN_ROUNDS ?= 10000
VERIFY ?=
PRESETS := release debug tsan asan fuzz fault fault-asan

.PHONY: help demo test bench verify test-long test-cuda install clean bits-compare bits-long flat-long fault-long kernels-long fuzz-long shutdown-long sim-long stop-long deps test-deps $(PRESETS)

help:
	@echo "make demo        run MiniLM from 1, 2, 4 and 8 threads (installs what is missing)"
	@echo "make test        all tests, about 18 minutes on 2 idle cores (installs what is missing)"
	@echo "make test-long   what make test leaves out: all that ends in -long but fuzzing, and the debug preset"
	@echo "make release     the library and the program, in build/release/ (also: $(filter-out release,$(PRESETS)))"
	@echo "make install     into PREFIX (default /usr/local)"
	@echo "make bench       MiniLM beside ONNX Runtime and OpenVINO, a quarter of an hour"
	@echo "make verify      one report of all checks and measurements, up to 45 minutes (VERIFY=--quick: 5)"
	@echo "make bits-compare BASE=COMMIT  what this tree computes beside what COMMIT computed, bit by bit"
	@echo "make bits-long   equal bits over BITS_REPEATS=$(BITS_REPEATS) repeats"
	@echo "make flat-long   resident memory over FLAT_RUNS=$(FLAT_RUNS) runs, and what they allocate"
	@echo "make fault-long  each fallible call fails, and the library's own tests, under AddressSanitizer"
	@echo "make kernels-long  CUDA's kernels, compiled for GPUs; make test only has its compiler read them"
	@echo "make stop-long   how long each operator goes on without a look, over longer runs"
	@echo "make sim-long    all tests on the simulated device under ThreadSanitizer and AddressSanitizer"
	@echo "make shutdown-long  shutdown under load, SHUTDOWN_ROUNDS=$(SHUTDOWN_ROUNDS) times"
	@echo "make fuzz-long   each fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS), fuzz_graph three times as long"
	@echo "make clean       remove the build folders"

demo: deps
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j $(JOBS) --target heddle_program
	@tools/demo

test:
	@tools/test

test-long: debug bits-long flat-long fault-long kernels-long shutdown-long sim-long stop-long
	@ctest --preset debug -L '^unit$$' --no-tests=error -j $(JOBS)

deps:
	@tools/install-deps build

test-deps:
	@tools/install-deps build test model

release: deps
debug tsan asan fuzz fault fault-asan: test-deps

$(PRESETS):
	@cmake --preset $@ >/dev/null
	@cmake --build --preset $@ -j $(JOBS)

bench: release
	@cmake --build --preset release --target peak
	@tools/install-deps bench
	@bench/peers/compare.py "$$(tools/fetch-model)" --json build/bench.json --markdown build/bench.md

# The debug preset is for the flags that the checks of the sources compile with.
verify: test-deps
	@tools/install-deps tla
	@tools/install-deps lean || true
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j $(JOBS) --target heddle_program heddle_program_sim
	@cmake --preset debug >/dev/null
	@cmake --build --preset debug -j $(JOBS) --target heddle_onnx_proto
	@build/release/heddle verify --source . $(VERIFY)

test-cuda: test-deps
	@cmake --preset release -DHEDDLE_CUDA=ON -DHEDDLE_NVCC="$$(tools/fetch-nvcc)" && cmake --build --preset release -j $(JOBS)
	@ctest --preset release -L cuda --no-tests=error

install: release
	@cmake --install build/release --prefix $(PREFIX)
	@export PATH=$$PATH:/usr/sbin:/sbin; \
	if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" -eq 0 ] && command -v ldconfig >/dev/null; then ldconfig; fi

bits-compare: deps
	@HEDDLE_MINILM=$$(tools/fetch-model) tools/bits-compare $(or $(BASE),$(error say BASE=COMMIT))

bits-long: release
	@HEDDLE_MINILM=$$(tools/fetch-model) HEDDLE_BITS_REPEATS=$(BITS_REPEATS) build/release/tests/bits_test_bits

# What ordinary runs leave out: tests on the simulated device that touch no object which others do not.
sim-long: tsan asan
	@for preset in tsan asan; do \
	    cmake --preset $$preset -DHEDDLE_TEST_ALL=ON >/dev/null; \
	    HEDDLE_MINILM=$$(tools/fetch-model) HEDDLE_BITS_REPEATS=1 \
	        ctest --preset $$preset -R '\.sim$$' --no-tests=error -j $(JOBS); result=$$?; \
	    cmake --preset $$preset -DHEDDLE_TEST_ALL=OFF >/dev/null; \
	    [ $$result -eq 0 ] || exit 1; \
	done

fault-long: fault-asan
	@ctest --preset fault-asan -L '^(unit|fault)$$' --no-tests=error -j $(JOBS)

kernels-long: deps
	@nvcc=$$(tools/fetch-nvcc) && cmake --preset release -B build/kernels -DHEDDLE_TESTS=OFF -DHEDDLE_CUDA=ON -DHEDDLE_NVCC="$$nvcc" >/dev/null
	@cmake --build build/kernels -j $(JOBS) --target heddle_cuda_kernels

flat-long: release
	@build/release/tests/bits_test_flat $(FLAT_RUNS)

stop-long: release
	@HEDDLE_STOP_TIME=300 build/release/tests/unit_test_stop_gaps

shutdown-long: release
	@build/release/tests/shutdown $(SHUTDOWN_ROUNDS) 1

fuzz-long: fuzz
	@tools/fuzz $(FUZZ_SECONDS)

clean:
	@rm -rf $(addprefix build/,$(PRESETS)) build/logs build/verify build/bits
