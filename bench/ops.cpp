// Every op of the op table (tests/op_table/op_table.h), at the size that its row names for benchmarks.
//
//   bench_ops --filter norm --dtype bf16        (--help: all options)
//
// `forward` is the op alone, without a graph; `both` is forward, backward and the graph between them. GB/s count what a
// forward pass cannot do without, every input read once and every output written once; GFLOP/s stand where the row
// states the operations. Times are medians.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "bench/command_line.h"
#include "core/autograd.h"
#include "core/check.h"
#include "core/parallel.h"
#include "tests/op_table/op_table.h"

using namespace galvan;

namespace {

struct Arguments {
  std::string filter, dtype = "f32";
  int threads = galvan::threads();
  int rounds = 15;
};

Arguments parse(int argc, char** argv) {
  Arguments a;
  CLI::App app("Times every op of the op table, forward and with its backward.", "bench_ops");
  app.option_defaults()->always_capture_default();
  app.add_option("--filter", a.filter, "only ops with this in their name");
  app.add_option("--dtype", a.dtype, "of real inputs")->check(CLI::IsMember({"f32", "f64", "bf16"}));
  app.add_option("--threads", a.threads)->check(CLI::Range(1, 1024));
  app.add_option("--rounds", a.rounds, "timed calls, of which the median counts")
      ->check(CLI::Range(1, 1000000));
  parse_or_exit(app, argc, argv);
  return a;
}

template <class F>
double median_seconds(int rounds, const F& work) {
  work();  // warms up
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
  return times[rounds / 2];
}

void time_row(const OpRow& row, DType dtype, int rounds) {
  std::vector<Tensor> inputs = make_inputs(row.bench, dtype), leaves;
  const Attributes& attributes = row.bench.attributes;
  Outputs outputs;
  const double forward = median_seconds(rounds, [&] {
    NoGrad guard;
    outputs = row.call(inputs, attributes);
  });
  std::printf("%-18s %10.3f", row.name.c_str(), forward * 1e3);
  if (row.has_backward) {
    for (Tensor& x : inputs)
      if (is_floating(x.dtype())) leaves.push_back(x.set_requires_grad());
    std::vector<Tensor> upstream;
    for (const Tensor& y : outputs) upstream.push_back(Tensor::ones(y.shape(), {.dtype = y.dtype()}));
    const double both = median_seconds(rounds, [&] { grad(row.call(inputs, attributes), leaves, upstream); });
    std::printf(" %10.3f", both * 1e3);
  } else {
    std::printf(" %10s", "");
  }
  std::printf(" %8.1f", least_bytes(inputs, outputs) / forward / 1e9);
  if (const double flops = row.flops(inputs, outputs); flops > 0)
    std::printf(" %8.1f", flops / forward / 1e9);
  std::printf("\n");
}

void run(const Arguments& a) {
  set_threads(a.threads);
  const DType dtype = a.dtype == "f64" ? DType::f64 : a.dtype == "bf16" ? DType::bf16 : DType::f32;
  std::printf("%s, %d thread%s\n%-18s %10s %10s %8s %8s\n", name(dtype), a.threads, a.threads == 1 ? "" : "s",
              "op", "forward ms", "both ms", "GB/s", "GFLOP/s");
  bool any = false;
  for (const OpRow& row : op_table())
    if (row.name.find(a.filter) != std::string::npos) {
      time_row(row, dtype, a.rounds);
      any = true;
    }
  check(any, "bench_ops: no op has ", a.filter, " in its name");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(parse(argc, argv));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
