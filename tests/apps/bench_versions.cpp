// `galvan bench`: kernels of several versions, and what is wrong.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "apps/bench/measure.h"
#include "bench/op_table/own_kernel.h"
#include "core/variants.h"

using namespace galvan;

namespace {

Variants versions("tanh", "cpu", {{"best", "best.cpp"}, {"naive", "naive.cpp"}, {"blocked", "blocked.cpp"}});
const OwnKernel right_one("tanh", "cpu", "of_exp", [](Inputs in, const Attributes&) {
  return only(add(mul(sigmoid(mul(in[0], 2.0)), 2.0), -1.0));
});
const OwnKernel wrong_one("tanh", "cpu", "identity",
                          [](Inputs in, const Attributes&) { return only(in[0].clone()); });
const OwnKernel forgetful_one("tanh", "cpu", "unwritten",
                              [](Inputs in, const Attributes&) { return only(Tensor::empty_like(in[0])); });
const OwnKernel failing_one("tanh", "cpu", "failing",
                            [](Inputs, const Attributes&) -> Outputs { fail("failing: not today"); });
// Gives something else at every call.
const OwnKernel changing_one("sigmoid", "cpu", "changing", [](Inputs in, const Attributes&) {
  static double drift = 0;
  drift += 1e-7;
  return only(add(sigmoid(in[0]), drift));
});

BenchTable measured(const BenchOptions& options) {
  BenchTable table{.dtype = name(options.dtype)};
  size_t told = 0;
  measure_cpu(options, table, [&](const BenchTable& so_far, const BenchRow&) {
    ++told;
    CHECK(&so_far == &table);
  });
  CHECK(told == table.rows.size());
  return table;
}

const BenchRow& row_of(const BenchTable& table, const std::string& technique) {
  for (const BenchRow& row : table.rows)
    if (row.technique == technique) return row;
  FAIL("no row of " << technique);
  return table.rows.front();
}

}  // namespace

TEST_CASE("every version is a row, the ladder from its lowest rung up, and the choice is put back") {
  const BenchTable table = measured({.filter = "^tanh forward$", .shape = "B=2,T=8,C=12", .samples = 6});
  std::vector<std::string> names;
  for (const BenchRow& row : table.rows) names.push_back(row.technique);
  REQUIRE(names.size() == 7);
  names.resize(4);
  CHECK(names == std::vector<std::string>{"naive", "blocked", "best", "of_exp"});
  CHECK(versions.chosen() == 0);
  const BenchRow& best = row_of(table, "best");
  CHECK(best.role == Role::production);
  CHECK(best.file == "best.cpp");
  CHECK(best.shape == "16x48");
  CHECK(best.bytes == 2 * 4 * 16 * 48);
  CHECK(best.times.size() == 6);
  CHECK(row_of(table, "naive").role == Role::rung);
  CHECK(row_of(table, "of_exp").role == Role::own);
  CHECK(row_of(table, "of_exp").file.ends_with("tests/apps/bench_versions.cpp"));

  CHECK(baseline_of(table, best, "")->technique == "naive");
  CHECK(baseline_of(table, best, "blocked")->technique == "blocked");
  CHECK(baseline_of(table, best, "no_such_one") == nullptr);
  CHECK(library_of(table, best) == nullptr);
  CHECK(speed_against(best, &best) == 1);
  CHECK(speed_against(best, baseline_of(table, best, "")).has_value());
}

TEST_CASE("a version that is chosen is measured in production's place") {
  const ChosenVariant chosen(versions, "naive");
  const BenchTable table =
      measured({.filter = "^tanh(/.*)? forward$", .shape = "B=2,T=8,C=12", .samples = 1});
  std::vector<std::string> names;
  for (const BenchRow& row : table.rows) names.push_back(row.technique);
  names.resize(3);
  CHECK(names == std::vector<std::string>{"blocked", "best", "naive"});
  CHECK(row_of(table, "naive").role == Role::production);
  CHECK(row_of(table, "best").role == Role::rung);
}

TEST_CASE("what is wrong is said to be, and has no speed") {
  const BenchTable table =
      measured({.filter = "^(tanh|sigmoid) forward$", .shape = "B=2,T=8,C=12", .samples = 5});
  CHECK(is_right(row_of(table, "of_exp")));
  for (const char* name : {"identity", "unwritten", "failing", "changing"}) {
    CAPTURE(name);
    const BenchRow& row = row_of(table, name);
    CHECK_FALSE(is_right(row));
    CHECK_FALSE(speed_against(row, &table.rows[0]).has_value());
    CHECK_FALSE(speed_against(table.rows[0], &row).has_value());
  }
  CHECK(row_of(table, "identity").error > 1000);
  CHECK(std::isinf(row_of(table, "unwritten").error));
  CHECK(row_of(table, "failing").failure == "failing: not today");
  CHECK_FALSE(row_of(table, "changing").deterministic);
}

TEST_CASE("a library's product stands beside ours, and the optimizer's update is a row") {
  const BenchTable table =
      measured({.filter = "^(matmul|adamw) forward$", .shape = "B=1,T=16,C=24", .samples = 5});
  const BenchRow& eigen = row_of(table, "eigen");
  CHECK(eigen.role == Role::library);
  CHECK(is_right(eigen));
  CHECK(eigen.flops == 2.0 * 16 * 24 * 24);
  for (const BenchRow& row : table.rows)
    if (row.kernel == "matmul") CHECK(library_of(table, row) == &eigen);
  const BenchRow& adamw = table.rows.back();
  CHECK(adamw.kernel == "adamw");
  CHECK(is_right(adamw));
  CHECK(adamw.bytes == 32.0 * (4 * 24 * 24 + 4 * 24 + 4 * 24 * 24 + 24));
}

TEST_CASE("views move nothing") {
  for (const BenchKernel& kernel : bench_kernels()) {
    if (kernel.name != "split" && kernel.name != "clone") continue;
    const OpCase bench = kernel.bench({.B = 1, .T = 4, .C = 12});
    const std::vector<Tensor> inputs = make_inputs(bench, DType::f32);
    const double bytes = kernel.bytes(inputs, kernel.prepare(inputs, bench.attributes)());
    CHECK(bytes == (kernel.name == "split" ? 0 : 2 * 4 * 4 * 48));
  }
}

TEST_CASE("--filter takes one version of a kernel, or one pass of all") {
  const auto names = [](const std::string& filter) {
    std::vector<std::string> all;
    for (const BenchGroup& group : bench_groups({.filter = filter}, "cpu"))
      for (const Technique& technique : group.techniques)
        all.push_back(group.kernel.name + "/" + technique.name + " " + name(group.pass));
    return all;
  };
  CHECK(names("^tanh/naive") == std::vector<std::string>{"tanh/naive forward"});
  CHECK(names("^softmax").size() >= 2);
  CHECK(names("^neg forward$") == std::vector<std::string>{"neg/ forward"});
}

TEST_CASE("kernels of which there are versions are kernels that are measured") {
  const std::vector<BenchKernel> kernels = bench_kernels();
  for (const Variants* variants : all_variants()) {
    CAPTURE(std::string(variants->kernel()));
    const auto measures = [&](const BenchKernel& kernel) { return variants->kernel() == kernel.name; };
    CHECK(std::any_of(kernels.begin(), kernels.end(), measures));
  }
  for (const OwnKernel* own : own_kernels())
    CHECK(
        std::any_of(kernels.begin(), kernels.end(), [&](const BenchKernel& k) { return k.name == own->op; }));
}
