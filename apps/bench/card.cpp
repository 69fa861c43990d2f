#include "apps/bench/card.h"

#include <algorithm>
#include <optional>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#ifdef GALVAN_CUDA
#include "core/cuda_backend.h"
#endif

namespace galvan {
namespace {

// By NVIDIA's data sheets; products by tensor cores in bf16 alone.
struct KnownCard {
  const char* name;
  const char* source;
  double bytes, f32, f64, bf16;  // a second
};
constexpr KnownCard kCards[] = {
    {"h100", "an H100 SXM's data sheet", 3.35e12, 67e12, 34e12, 989e12},
    {"a100", "an A100 80GB SXM's data sheet", 2.039e12, 19.5e12, 9.7e12, 312e12},
};

// Bytes and FLOPs of the usual sizes, for which the CPU computes one call.
void add_formulas(const BenchGroup& group, const Sizes& sizes, DType dtype, BenchRow& row) {
  const OpCase bench = group.kernel.bench(sizes);
  row.large_shape = shape_text(bench);
  if (group.pass != Pass::forward) return;
  const NoGrad guard;
  const std::vector<Tensor> inputs = make_inputs(bench, dtype);
  const Outputs outputs = group.kernel.prepare(inputs, bench.attributes)();
  row.bytes = group.kernel.bytes(inputs, outputs);
  row.flops = group.kernel.flops(inputs, outputs);
}

// Without a card and a simulator there is nothing to call.
void add_unmeasured(const BenchGroup& group, const Sizes& sizes, DType dtype, BenchTable& table,
                    const OnRow& on_row) {
  BenchRow formulas{.kernel = group.kernel.name, .pass = name(group.pass), .device = "cuda"};
  add_formulas(group, sizes, dtype, formulas);
  formulas.shape = formulas.large_shape;
  for (const Technique& technique : group.techniques) {
    BenchRow row = formulas;
    row.technique = technique.name;
    row.file = technique.file;
    row.role = technique.role;
    table.rows.push_back(std::move(row));
    on_row(table, table.rows.back());
  }
}

#ifdef GALVAN_CUDA

constexpr const char* kSmall = "B=2,T=32,C=64,H=2,V=65";  // what is simulated

std::string sizes_text(const unsigned (&sizes)[3]) {
  std::string text = std::to_string(sizes[0]);
  for (int i = 1; i < 3; ++i)
    if (sizes[i] > 1 || (i == 1 && sizes[2] > 1)) text += "x" + std::to_string(sizes[i]);
  return text;
}

std::vector<BenchLaunch> launches_of(const Subject& subject) {
  const InUse guard(subject.technique);
  const TrustedIndices trusted;  // they have been searched by the call that was checked
  std::vector<BenchLaunch> all;
  for (const cuda_backend::LaunchFacts& facts : cuda_backend::launches_of(kCuda, [&] { subject.call(); })) {
    BenchLaunch launch{.kernel = facts.kernel,
                       .grid = sizes_text(facts.grid),
                       .block = sizes_text(facts.block),
                       .shared_bytes = facts.shared_bytes,
                       .registers = facts.registers,
                       .occupancy = facts.occupancy};
    if (facts.counted)
      launch.counts = {.bytes_read = facts.bytes_read,
                       .bytes_written = facts.bytes_written,
                       .sectors = facts.sectors,
                       .shared_transactions = facts.shared_transactions,
                       .bank_conflicts = facts.bank_conflicts,
                       .barriers = facts.barriers};
    all.push_back(std::move(launch));
  }
  return all;
}

cuda_backend::CardTimes times_of(const Subject& subject, int samples) {
  const InUse guard(subject.technique);
  const TrustedIndices trusted;
  return cuda_backend::time_on_card(
      kCuda, [&] { subject.call(); }, samples);
}

void add_times(Subject& subject, int samples) {
  cuda_backend::CardTimes times = times_of(subject, samples);
  subject.row.times = std::move(times.warm);
  subject.row.cold_times = std::move(times.cold);
  subject.row.clock = times.clock;
}

// A call that has to wait for the card cannot be recorded; the row then says so.
template <class F>
void attempt(Subject& subject, const F& measure) {
  if (!subject.row.failure.empty()) return;
  try {
    measure();
  } catch (const Error& error) {
    subject.row.failure = error.what();
  }
}

#endif

}  // namespace

std::vector<std::string> known_cards() {
  std::vector<std::string> names;
  for (const KnownCard& card : kCards) names.push_back(card.name);
  return names;
}

Ceilings data_sheet(const std::string& card, DType dtype) {
  for (const KnownCard& known : kCards)
    if (card == known.name)
      return {.device = "cuda",
              .source = known.source,
              .bytes_per_second = known.bytes,
              .flops_per_second = dtype == DType::f64    ? known.f64
                                  : dtype == DType::bf16 ? known.bf16
                                                         : known.f32};
  fail("bench: no data sheet of '", card, "' is known here");
}

#ifdef GALVAN_CUDA

std::string why_no_times() {
  if (const std::string reason = cuda_backend::unavailable(); !reason.empty()) return reason;
  return cuda_backend::card(kCuda).simulated ? "the card is simulated" : "";
}

double fastest_on_card(const Subject& subject, int calls) {
  const std::vector<double> times = times_of(subject, calls).warm;
  return *std::min_element(times.begin(), times.end());
}

void measure_card(const BenchOptions& options, const std::string& card, BenchTable& table,
                  const OnRow& on_row) {
  const std::vector<BenchGroup> groups = bench_groups(options, "cuda");
  const bool reached = cuda_backend::unavailable().empty(), timed = why_no_times().empty();
  const Sizes large = parse_sizes(options.shape);
  const Sizes sizes = timed ? large : parse_sizes(kSmall);
  table.ceilings.push_back(
      timed ? Ceilings{.device = "cuda",
                       .bytes_per_second = cuda_backend::measure_copy_bandwidth(kCuda),
                       .flops_per_second = cuda_backend::measure_matmul_flops(kCuda, options.dtype)}
            : data_sheet(card, options.dtype));
  for (const BenchGroup& group : groups) {
    if (!reached) {
      add_unmeasured(group, large, options.dtype, table, on_row);
      continue;
    }
    for (Subject& subject : make_ready(group, sizes, options.dtype, kCuda)) {
      attempt(subject, [&] { subject.row.launches = launches_of(subject); });
      if (timed)
        attempt(subject, [&] { add_times(subject, options.samples); });
      else
        add_formulas(group, large, options.dtype, subject.row);
      table.rows.push_back(std::move(subject.row));
      on_row(table, table.rows.back());
    }
  }
}

#else

std::string why_no_times() { return "this build has no CUDA"; }

double fastest_on_card(const Subject&, int) { fail("bench: ", why_no_times()); }

void measure_card(const BenchOptions& options, const std::string& card, BenchTable& table,
                  const OnRow& on_row) {
  table.ceilings.push_back(data_sheet(card, options.dtype));
  for (const BenchGroup& group : bench_groups(options, "cuda"))
    add_unmeasured(group, parse_sizes(options.shape), options.dtype, table, on_row);
}

#endif

}  // namespace galvan
