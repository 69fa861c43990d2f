#include "apps/bench/measure.h"

#include <algorithm>
#include <chrono>
#include <regex>

#include "apps/machine.h"
#include "core/autograd.h"
#include "core/check.h"
#include "core/cpu/peak.h"

namespace galvan {
namespace {

constexpr double kShortest =
    5e-5;  // seconds of a sample: what takes less is called several times, and divided
constexpr int kFewestSamples = 5;
constexpr double kLongest = 0.5;  // seconds of all samples of a row, once there are the fewest

std::regex compiled(const std::string& filter) {
  try {
    return std::regex(filter);
  } catch (const std::regex_error&) {
    fail("--filter: '", filter, "' is not a regular expression");
  }
}

}  // namespace

Sizes parse_sizes(const std::string& text) {
  Sizes sizes;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    begin = end + 1;
    const std::pair<char, int64_t*> places[] = {
        {'B', &sizes.B}, {'T', &sizes.T}, {'C', &sizes.C}, {'H', &sizes.H}, {'V', &sizes.V}};
    const auto place = std::find_if(std::begin(places), std::end(places),
                                    [&](const auto& p) { return part.size() > 2 && part[0] == p.first; });
    check(place != std::end(places) && part[1] == '=' &&
              part.find_first_not_of("0123456789", 2) == part.npos && part.size() < 12 && part[2] != '0',
          "--shape: expected sizes of B, T, C, H, V such as B=64,T=1024, got '", part, "'");
    *place->second = std::stoll(part.substr(2));
  }
  check(sizes.C % sizes.H == 0 && sizes.D() % 2 == 0, "--shape: C ", sizes.C,
        " is not an even number for each of H ", sizes.H, " heads");
  return sizes;
}

std::vector<BenchGroup> bench_groups(const BenchOptions& options, const std::string& device) {
  const std::regex filter = compiled(options.filter);
  std::vector<BenchGroup> groups;
  for (const BenchKernel& kernel : bench_kernels()) {
    if (!kernel.takes(options.dtype)) continue;
    for (const Pass pass : {Pass::forward, Pass::forward_and_backward}) {
      if (pass != Pass::forward && !kernel.has_backward) continue;
      BenchGroup group{.kernel = kernel, .pass = pass};
      const bool whole = std::regex_search(kernel.name + " " + name(pass), filter);
      for (Technique& technique : techniques_of(kernel, pass, device))
        if (whole || std::regex_search(kernel.name + "/" + technique.name + " " + name(pass), filter))
          group.techniques.push_back(std::move(technique));
      if (!group.techniques.empty()) groups.push_back(std::move(group));
    }
  }
  check(!groups.empty(), "--filter: no kernel that has ", name(options.dtype), " is found by '",
        options.filter, "'");
  return groups;
}

double time_of(const Subject& subject, int64_t calls) {
  using Clock = std::chrono::steady_clock;
  const InUse guard(subject.technique);
  const auto start = Clock::now();
  for (int64_t i = 0; i < calls; ++i) subject.call();
  return std::chrono::duration<double>(Clock::now() - start).count() / static_cast<double>(calls);
}

int64_t calls_in(const Subject& subject, double seconds) {
  time_of(subject, 1);  // warms up
  return std::max<int64_t>(1, static_cast<int64_t>(seconds / std::max(time_of(subject, 1), 1e-9)));
}

void measure_cpu(const BenchOptions& options, BenchTable& table, const OnRow& on_row) {
  const std::vector<BenchGroup> groups = bench_groups(options, "cpu");
  const Sizes sizes = parse_sizes(options.shape);
  const double peak = measure_peak_flops(0.2);
  table.ceilings.push_back({.bytes_per_second = measure_copy_bandwidth(),
                            .flops_per_second = options.dtype == DType::f64 ? peak / 2 : peak});
  for (const BenchGroup& group : groups) {
    std::vector<Subject> subjects = make_ready(group, sizes, options.dtype, kCpu);
    std::vector<int64_t> calls;
    for (const Subject& s : subjects) calls.push_back(s.row.failure.empty() ? calls_in(s, kShortest) : 0);
    double spent = 0;
    for (int i = 0; i < options.samples; ++i) {
      if (i >= kFewestSamples && spent > kLongest * static_cast<double>(subjects.size())) break;
      for (size_t s = 0; s < subjects.size(); ++s) {
        if (calls[s] == 0) continue;
        subjects[s].row.times.push_back(time_of(subjects[s], calls[s]));
        spent += subjects[s].row.times.back() * static_cast<double>(calls[s]);
      }
    }
    const size_t first = table.rows.size();
    for (Subject& s : subjects) table.rows.push_back(std::move(s.row));
    for (size_t i = first; i < table.rows.size(); ++i) on_row(table, table.rows[i]);
  }
}

}  // namespace galvan
