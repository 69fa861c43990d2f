// Every row of the op table, driven through the same checks. What is compared with what:
//   f64                PyTorch's values and gradients, or the row's twin
//   f32, bf16          the f64 op on the same, rounded, inputs
//   i32, bool          the f64 op on the same whole numbers
//   gradients in f64   central differences, too
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "core/autograd.h"
#include "core/gradcheck.h"
#include "core/parallel.h"
#include "tests/op_table/checks.h"

using namespace galvan;

TEST_CASE("every op of kOpTypes has a row, and every row an op") {
  std::set<std::string> names, ops;
  for (const OpRow& row : op_table()) {
    CAPTURE(row.name);
    CHECK(names.insert(row.name).second);
    ops.insert(row.op);
    CHECK(types_of(row.op).contains(DType::f32));
    CHECK((has_golden(row) || (row.twin && !row.cases.empty())));
    REQUIRE(row.bench);
    CHECK_FALSE(row.bench({}).inputs.empty());
  }
  const nlohmann::json golden = golden_file("ops.json");
  for (const nlohmann::json& c : golden.at("cases")) {
    const std::string op = c.at("op");
    CAPTURE(op);
    CHECK(names.count(op));
  }
  // The optimizers' kernels, which are no ops, are tested in tests/optim; the check of indices with the ops that follow
  // them.
  const std::set<std::string> missing = {"optimizer", "index"};
  for (const OpTypes& types : kOpTypes) {
    CAPTURE(types.op);
    CHECK((ops.count(std::string(types.op)) || missing.count(std::string(types.op))));
  }
}

TEST_CASE("ops give what PyTorch gives, or their twin, forward and backward") {
  for (const OpRow& row : op_table()) check_against_reference(row);
}

TEST_CASE("f32 and bf16 give what f64 gives for the same inputs, forward and backward") {
  for (const OpRow& row : op_table())
    for (const DType dtype : {DType::f32, DType::bf16}) check_against_f64(row, dtype);
}

TEST_CASE("i32 and bool give what f64 gives for whole numbers") {
  for (const OpRow& row : op_table())
    for (const DType dtype : {DType::i32, DType::boolean}) check_whole_numbers(row, dtype);
}

TEST_CASE("gradients agree with differences") {
  int checked = 0;
  for (const OpRow& row : op_table()) {
    if (!row.has_backward) continue;
    int cases = 0;
    for (const Sample& s : samples(row)) {
      CAPTURE(s.name);
      const auto in_name = [&](const std::string& part) { return s.name.find(part) != std::string::npos; };
      if (in_name("extreme") || std::any_of(row.kinks.begin(), row.kinks.end(), in_name)) continue;
      RandomContext::current().begin(1, 0, 0);
      CHECK_NOTHROW(gradcheck([&](Inputs in) { return row.call(in, s.attributes); }, s.inputs));
      ++cases;
    }
    CAPTURE(row.name);
    CHECK(cases > 0);
    checked += cases > 0;
  }
  const auto differentiable = [](const OpRow& row) { return row.has_backward; };
  CHECK(checked == std::count_if(op_table().begin(), op_table().end(), differentiable));
}

TEST_CASE("ops refuse dtypes they do not take") {
  for (const OpRow& row : op_table()) {
    const std::vector<Sample> all = samples(row);
    if (all.empty()) continue;  // the first test names the row
    const Sample& s = all.front();
    for (const DType dtype : {DType::i32, DType::boolean}) {
      const DTypes takes = types_of(row.op);
      if (takes.contains(dtype)) continue;
      CAPTURE(row.name);
      const std::string list = takes.contains(DType::i32) ? "f32, f64, bf16, i32" : "f32, f64, bf16";
      const std::string message = row.op + ": takes " + list + ", not " + name(dtype);
      CHECK_THROWS_WITH_AS(row.call(converted(s.inputs, dtype), s.attributes), message.c_str(), Error);
    }
  }
}

TEST_CASE("ops do not care how their inputs and upstream gradients are laid out") {
  for (const OpRow& row : op_table())
    for (const Sample& s : samples(row)) {
      CAPTURE(s.name);
      const Result a = run(row, row.call, s.inputs, s), b = run(row, on_swapped(row), swapped(s.inputs), s);
      for (size_t j = 0; j < a.outputs.size(); ++j) {
        CHECK(a.outputs[j].shape() == b.outputs[j].shape());
        check_close(b.outputs[j], a.outputs[j].to_vector(), DType::f64, row.length(s.inputs, s.attributes));
      }
      for (size_t i = 0; i < a.grads.size(); ++i)
        if (a.grads[i].defined())
          check_close(b.grads[i], a.grads[i].to_vector(), DType::f64,
                      gradient_length(row, s, s.inputs[i], a.outputs));
    }
}

TEST_CASE("ops give the same bits for any number of threads") {
  const int before = threads();
  const auto bits = [](const Tensor& x) {
    const Tensor d = x.contiguous();
    std::vector<char> bytes(static_cast<size_t>(d.numel() * size_of(d.dtype())));
    if (!bytes.empty())
      std::memcpy(bytes.data(),
                  static_cast<const char*>(d.impl()->storage->data()) + d.impl()->offset * size_of(d.dtype()),
                  bytes.size());
    return bytes;
  };
  for (const OpRow& row : op_table()) {
    CAPTURE(row.name);
    const OpCase bench = row.bench({.B = 4, .T = 128, .C = 192});  // tasks for three threads in every op
    const Sample s{.name = row.name,
                   .inputs = make_inputs(bench, DType::f32),
                   .attributes = bench.attributes,
                   .golden = false};
    set_threads(1);
    const Result one = run(row, row.call, s.inputs, s);
    set_threads(3);
    const Result three = run(row, row.call, s.inputs, s);
    set_threads(before);
    for (size_t j = 0; j < one.outputs.size(); ++j) CHECK((bits(one.outputs[j]) == bits(three.outputs[j])));
    for (size_t i = 0; i < one.grads.size(); ++i)
      if (one.grads[i].defined()) CHECK((bits(one.grads[i]) == bits(three.grads[i])));
  }
}
