// SGD, Adam and AdamW against PyTorch's values, and what an optimizer promises beyond its formula.
#include "optim/optimizer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/allocator.h"
#include "core/autograd.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "optim/adam.h"
#include "optim/sgd.h"
#include "tests/core/golden.h"
#include "tests/core/worst.h"

using namespace galvan;

namespace {

constexpr int kSteps = 20;

Tensor parameter(const std::vector<double>& values, DType dtype = DType::f64) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())}, {.dtype = dtype}).set_requires_grad();
}

void set_grad(const Tensor& p, const std::vector<double>& values) {
  p.set_grad(Tensor::from(values, p.shape(), {.dtype = p.dtype()}));
}

// An optimizer made as a golden case says, over parameters "p0", "p1", ...
std::unique_ptr<Optimizer> make(const nlohmann::json& c, const std::vector<Tensor>& parameters) {
  std::vector<ParameterGroup> groups;
  const nlohmann::json& first = c["groups"][0]["options"];
  for (size_t i = 0; i < parameters.size(); ++i) {
    const nlohmann::json& o = c["groups"][i]["options"];
    ParameterGroup group{.parameters = {{"p" + std::to_string(i), parameters[i]}},
                         .weight_decay = o["weight_decay"].get<double>(),
                         .lr_scale = o["lr"].get<double>() / first["lr"].get<double>()};
    if (i > 0 && o.contains("momentum")) group.momentum = o["momentum"].get<double>();
    if (i > 0 && o.contains("betas")) {
      group.momentum = o["betas"][0].get<double>();
      group.beta2 = o["betas"][1].get<double>();
    }
    groups.push_back(group);
  }
  if (c["optimizer"] == "sgd")
    return std::make_unique<SGD>(
        groups, SGDOptions{.lr = first["lr"],
                           .momentum = first["momentum"],
                           .dampening = first["dampening"],
                           .weight_decay = first["weight_decay"],
                           .nesterov = first["nesterov"],
                           .maximize = first["maximize"],
                           .momentum_form = c["momentum_form"] == "classic" ? MomentumForm::classic
                                                                            : MomentumForm::torch});
  const AdamOptions options{.lr = first["lr"],
                            .beta1 = first["betas"][0],
                            .beta2 = first["betas"][1],
                            .eps = first["eps"],
                            .weight_decay = first["weight_decay"]};
  if (c["optimizer"] == "adam") return std::make_unique<Adam>(groups, options);
  return std::make_unique<AdamW>(groups, options);
}

// (1 + |x|) times the rounding errors of `steps` updates, each with a few operations.
double tolerance_after(DType dtype, int steps, double x) {
  if (dtype == DType::f64) return 1e-12 * (1 + std::fabs(x));
  return 8 * steps * 0x1p-24 * (1 + std::fabs(x));
}

std::vector<double> copy_of(const Tensor& x) { return x.to_vector(); }

// A model with segments of odd sizes, some larger than a piece of the arena, and a gradient for each.
struct Model {
  std::vector<NamedTensor> parameters;
  explicit Model(DType dtype = DType::f32) {
    for (const Shape& shape : {Shape{3, 5}, Shape{1}, Shape{129, 257}, Shape{31}, Shape{2, 1, 3}}) {
      const std::string name = "p" + std::to_string(parameters.size());
      parameters.emplace_back(
          name, Tensor::normal(shape, {.stream = name, .tensor = {.dtype = dtype}}).set_requires_grad());
    }
  }
  void set_gradients(uint64_t step, double scale = 1.0) const {
    for (const auto& [name, p] : parameters)
      p.set_grad(Tensor::normal(
          p.shape(), {.stddev = scale, .seed = step, .stream = name, .tensor = {.dtype = p.dtype()}}));
  }
  std::vector<std::vector<double>> values() const {
    std::vector<std::vector<double>> all;
    for (const auto& [name, p] : parameters) all.push_back(p.to_vector());
    return all;
  }
};

std::unique_ptr<Optimizer> make_kind(const std::string& kind, const Model& model) {
  if (kind == "sgd") return std::make_unique<SGD>(model.parameters, SGDOptions{.lr = 0.1, .momentum = 0.9});
  if (kind == "adam") return std::make_unique<Adam>(model.parameters, AdamOptions{.weight_decay = 0.1});
  return std::make_unique<AdamW>(model.parameters, AdamOptions{.weight_decay = 0.1});
}

}  // namespace

TEST_CASE("optimizers take PyTorch's steps") {
  const nlohmann::json file = golden_file("optimizers.json");
  int cases = 0;
  for (const nlohmann::json& c : file["cases"]) {
    for (const DType dtype : {DType::f64, DType::f32}) {
      CAPTURE(c["name"].get<std::string>());
      CAPTURE(name(dtype));
      std::vector<Tensor> parameters;
      for (const nlohmann::json& g : c["groups"])
        parameters.push_back(parameter(golden_input(g["size"], g["parameter_seed"]), dtype));
      const std::unique_ptr<Optimizer> optimizer = make(c, parameters);
      double worst = 0;
      for (int k = 0; k < kSteps; ++k) {
        optimizer->zero_grad();
        for (size_t i = 0; i < parameters.size(); ++i) {
          const nlohmann::json& g = c["groups"][i];
          const std::vector<int> skip = g["skip"];
          if (std::find(skip.begin(), skip.end(), k) == skip.end())
            set_grad(parameters[i], golden_input(g["size"], g["gradient_seed"].get<uint32_t>() + k));
        }
        StepOptions step;
        if (!c["lr"].empty()) {
          step.lr = c["lr"][k].get<double>();
          step.momentum = c["momentum"][k].get<double>();
        }
        optimizer->step(step);
        for (size_t i = 0; i < parameters.size(); ++i) {
          const std::vector<double> got = copy_of(parameters[i]),
                                    want = golden_numbers(c["groups"][i]["parameters"][k]);
          for (size_t j = 0; j < want.size(); ++j)
            worst = worse(worst, std::fabs(got[j] - want[j]) / tolerance_after(dtype, k + 1, want[j]));
        }
      }
      CHECK(worst <= 1);
      // Buffers: PyTorch's momentum_buffer is our momentum, the others have one name.
      for (const auto& [key, tensor] : optimizer->state()) {
        const size_t dot = key.find('.');
        if (dot == std::string::npos) continue;
        const std::string buffer = key.substr(0, dot) == "momentum" ? "momentum_buffer" : key.substr(0, dot);
        const nlohmann::json& state = c["groups"][key.back() - '0']["state"];
        REQUIRE(state.contains(buffer));
        const std::vector<double> got = copy_of(tensor), want = golden_numbers(state[buffer]);
        for (size_t j = 0; j < want.size(); ++j)
          CHECK(std::fabs(got[j] - want[j]) <= tolerance_after(dtype, kSteps, want[j]));
      }
      ++cases;
    }
  }
  CHECK(cases > 80);
}

TEST_CASE("clipping gives PyTorch's gradients, in place and within a step") {
  const nlohmann::json file = golden_file("optimizers.json");
  for (const nlohmann::json& c : file["clip"]) {
    CAPTURE(c["name"].get<std::string>());
    const double max_norm = c["max_norm"], total = c["total_norm"];
    std::vector<NamedTensor> in_place, stepped;
    for (const nlohmann::json& g : c["gradients"]) {
      Shape shape;
      for (int64_t size : g["shape"]) shape.push_back(size);
      const std::vector<double> gradient = golden_input(shape.numel(), g["seed"], g["scale"]);
      for (auto* list : {&in_place, &stepped}) {
        const Tensor p = Tensor::zeros(shape, {.dtype = DType::f64}).set_requires_grad();
        set_grad(p, gradient);
        list->emplace_back("p" + std::to_string(list->size()), p);
      }
    }
    CHECK(std::fabs(clip_grad_norm_(in_place, max_norm) - total) <= 1e-12 * total);
    SGD sgd(stepped, {.lr = 1.0});
    CHECK(std::fabs(sgd.step({.clip_norm = max_norm}).grad_norm - total) <= 1e-12 * total);
    for (size_t i = 0; i < in_place.size(); ++i) {
      const std::vector<double> want = golden_numbers(c["gradients"][i]["values"]);
      const std::vector<double> got = copy_of(in_place[i].second.grad()), moved = copy_of(stepped[i].second);
      for (size_t j = 0; j < want.size(); ++j) {
        CHECK(std::fabs(got[j] - want[j]) <= 1e-12);
        CHECK(std::fabs(-moved[j] - want[j]) <= 1e-12);
      }
    }
  }
}

TEST_CASE("a parameter without a gradient is left alone: no decay, no buffer, no update counted") {
  for (const std::string kind : {"sgd", "adam", "adamw"}) {
    CAPTURE(kind);
    Model model;
    const auto optimizer = make_kind(kind, model);
    model.set_gradients(1);
    const Tensor& idle = model.parameters[2].second;
    const std::vector<double> before = idle.to_vector(), other = model.parameters[0].second.to_vector();
    idle.set_grad({});
    optimizer->step({.lr = 0.1});
    CHECK(idle.to_vector() == before);
    CHECK(model.parameters[0].second.to_vector() != other);
    for (const auto& [key, tensor] : optimizer->state()) {
      if (key.ends_with(".p2")) CHECK(tensor.to_vector() == std::vector<double>(before.size(), 0.0));
      if (key == "updates") CHECK(tensor.to_vector() == std::vector<double>{1, 1, 0, 1, 1});
    }
  }
}

TEST_CASE("groups: matrices decay, the rest does not; learning rates scale") {
  const Tensor matrix = Tensor::ones({2, 3}).set_requires_grad(),
               bias = Tensor::ones({3}).set_requires_grad();
  const std::vector<ParameterGroup> groups = decay_matrices_only({{"bias", bias}, {"matrix", matrix}});
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].parameters[0].first == "matrix");
  CHECK_FALSE(groups[0].weight_decay.has_value());
  CHECK(groups[1].weight_decay == 0.0);
  SGD sgd(groups, {.lr = 0.5, .weight_decay = 0.5});
  for (const Tensor& p : {matrix, bias}) p.set_grad(Tensor::zeros(p.shape()));
  sgd.step();
  CHECK(matrix.to_vector() == std::vector<double>(6, 0.75));
  CHECK(bias.to_vector() == std::vector<double>(3, 1.0));

  const Tensor a = Tensor::zeros({1}).set_requires_grad(), b = Tensor::zeros({1}).set_requires_grad();
  SGD scaled({{.parameters = {{"a", a}}}, {.parameters = {{"b", b}}, .lr_scale = 0.25}}, {.lr = 1.0});
  for (const Tensor& p : {a, b}) p.set_grad(Tensor::ones({1}));
  scaled.step({.lr = 2.0});
  CHECK(a.item() == -2.0);
  CHECK(b.item() == -0.5);
}

TEST_CASE("a step gives the same bits on any number of threads") {
  const int before = threads();
  for (const std::string kind : {"sgd", "adam", "adamw"}) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      std::vector<std::vector<double>> first;
      double first_norm = 0;
      for (const int count : {1, 2, 5}) {
        set_threads(count);
        Model model(dtype);
        const auto optimizer = make_kind(kind, model);
        double norm = 0;
        for (int k = 0; k < 3; ++k) {
          model.set_gradients(k);
          norm = optimizer->step({.clip_norm = 1.0}).grad_norm;
        }
        if (first.empty()) {
          first = model.values();
          first_norm = norm;
        }
        CHECK(model.values() == first);
        CHECK(norm == first_norm);
      }
    }
  }
  set_threads(before);
}

TEST_CASE("an optimizer that takes over another's state goes on bit for bit") {
  for (const std::string kind : {"sgd", "adam", "adamw"}) {
    for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
      CAPTURE(kind);
      Model whole(dtype), half(dtype), resumed(dtype);
      const auto steps = [](Optimizer& optimizer, const Model& model, int begin, int end) {
        for (int k = begin; k < end; ++k) {
          model.set_gradients(k);
          if (k == 1) model.parameters[3].second.set_grad({});
          optimizer.step({.lr = 0.01 * (k + 1), .momentum = 0.9 - 0.05 * k, .clip_norm = 1.0});
        }
      };
      const auto one = make_kind(kind, whole), two = make_kind(kind, half), three = make_kind(kind, resumed);
      steps(*one, whole, 0, 6);
      steps(*two, half, 0, 3);
      std::vector<NamedTensor> state;
      for (const auto& [key, tensor] : two->state()) state.emplace_back(key, tensor.clone());
      steps(*two, half, 3, 4);  // the copies are no views
      Model at_three(dtype);
      const auto again = make_kind(kind, at_three);
      steps(*again, at_three, 0, 3);
      {
        NoGrad guard;
        for (size_t i = 0; i < resumed.parameters.size(); ++i)
          resumed.parameters[i].second.copy_(at_three.parameters[i].second);
      }
      three->load_state(state);
      steps(*three, resumed, 3, 6);
      CHECK(resumed.values() == whole.values());
    }
  }
}

TEST_CASE("state that does not fit is refused, and nothing of it is taken") {
  const Tensor w = parameter({1, 2, 3}, DType::f32), v = parameter({1, 2, 3}, DType::f32);
  SGD sgd({{"w", w}}, {.lr = 0.1, .momentum = 0.9});
  const auto state = [](const std::string& name, const Tensor& momentum) {
    return std::vector<NamedTensor>{{name, momentum},
                                    {"updates", Tensor::from(std::vector<int32_t>{1}, {1})}};
  };
  CHECK_THROWS_WITH_AS(sgd.load_state(state("momentum.w", Tensor::ones({2}))),
                       "optimizer state: momentum.w is f32 [2], should be f32 [3]", Error);
  CHECK_THROWS_WITH_AS(sgd.load_state(state("momentum.v", Tensor::ones({3}))),
                       "optimizer state: momentum.w is missing", Error);
  CHECK_THROWS_WITH_AS(sgd.load_state({}), "optimizer state: 0 tensors given, sgd has 2", Error);
  CHECK_THROWS_WITH_AS(sgd.load_state({{"momentum.w", Tensor::ones({3})},
                                       {"updates", Tensor::from(std::vector<int32_t>{1, 2}, {2})}}),
                       "optimizer state: updates is i32 [2], should be i32 [1]", Error);
  CHECK(sgd.state()[0].second.to_vector() == std::vector<double>{0, 0, 0});
  sgd.load_state(state("momentum.w", Tensor::ones({3})));
  CHECK(sgd.state()[0].second.to_vector() == std::vector<double>{1, 1, 1});
}

TEST_CASE("a gradient norm that is not finite changes nothing when asked") {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    for (const std::string kind : {"sgd", "adam", "adamw"}) {
      Model model;
      const auto optimizer = make_kind(kind, model);
      model.set_gradients(1);
      CHECK(optimizer->step({.skip_non_finite = true}).applied);
      const auto before = model.values();
      std::vector<std::vector<double>> state;
      for (const auto& [key, tensor] : optimizer->state()) state.push_back(tensor.to_vector());
      model.set_gradients(2);
      model.parameters[1].second.set_grad(Tensor::full({1}, bad));
      const StepResult result = optimizer->step({.clip_norm = 1.0, .skip_non_finite = true});
      CHECK_FALSE(result.applied);
      CHECK_FALSE(std::isfinite(result.grad_norm));
      CHECK(model.values() == before);
      size_t i = 0;
      for (const auto& [key, tensor] : optimizer->state()) CHECK(tensor.to_vector() == state[i++]);
      CHECK(optimizer->step().applied);
      CHECK(model.values() != before);
    }
  }
}

TEST_CASE("gradients are averaged over micro-batches by their scale") {
  Model one, two;
  SGD sgd1(one.parameters, {.lr = 0.1}), sgd2(two.parameters, {.lr = 0.1});
  one.set_gradients(1);
  two.set_gradients(1, 4.0);
  const double norm1 = sgd1.step().grad_norm, norm2 = sgd2.step({.grad_scale = 0.25}).grad_norm;
  CHECK(norm2 == doctest::Approx(norm1));
  CHECK(two.values() == one.values());
}

TEST_CASE("steps that nobody waits for, by a schedule's table, equal those that name their values") {
  const ScheduleTable table{.lr = {0.1, 0.02, 0.3, 0.05}, .momentum = {0.9, 0.7, 0.8, 0.85}};
  for (const std::string kind : {"sgd", "adam", "adamw"}) {
    CAPTURE(kind);
    Model waited, enqueued;
    const auto one = make_kind(kind, waited), two = make_kind(kind, enqueued);
    two->set_schedule(table);
    std::vector<double> norms;
    for (size_t k = 0; k < table.lr.size(); ++k) {
      for (const Model* model : {&waited, &enqueued}) model->set_gradients(k);
      for (const double loss : {1.0, 2.0 + static_cast<double>(k)}) two->add_loss(Tensor::full({}, loss));
      norms.push_back(
          one->step({.lr = table.lr[k], .momentum = table.momentum[k], .clip_norm = 1.0}).grad_norm);
      two->enqueue_step({.clip_norm = 1.0, .skip_non_finite = true});
    }
    CHECK(enqueued.values() == waited.values());
    CHECK(two->control().step == 4);
    CHECK(*two->step_address() == 4);
    const std::vector<StepRecord> records = two->records(0, 4);
    for (size_t k = 0; k < records.size(); ++k) {
      CHECK(records[k].loss == 1.5 + 0.5 * static_cast<double>(k));
      CHECK(records[k].grad_norm == norms[k]);
    }
    // From the step that is set on, the table's later values count.
    two->set_step(1);
    for (const Model* model : {&waited, &enqueued}) model->set_gradients(9);
    one->step({.lr = table.lr[1], .momentum = table.momentum[1]});
    two->enqueue_step();
    CHECK(enqueued.values() == waited.values());
    CHECK(two->control().step == 2);
  }
}

TEST_CASE("from a step on that is not finite nothing is updated, until the step is set") {
  for (const bool bad_loss : {false, true}) {
    CAPTURE(bad_loss);
    Model model;
    const auto optimizer = make_kind("adamw", model);
    const auto enqueue = [&](double loss, double gradient) {
      model.set_gradients(1);
      model.parameters[1].second.set_grad(Tensor::full({1}, gradient));
      optimizer->add_loss(Tensor::full({}, loss));
      optimizer->enqueue_step({.skip_non_finite = true});
      return optimizer->control();
    };
    CHECK(enqueue(1, 1).applied == 1);
    const auto before = model.values();
    const StepControl bad = enqueue(bad_loss ? NAN : 1, bad_loss ? 1 : INFINITY);
    CHECK(bad.applied == 0);
    CHECK(bad.non_finite_at == 1);
    CHECK(bad.step == 1);
    const StepRecord record = optimizer->records(1, 2)[0];
    CHECK(std::isnan(record.loss) == bad_loss);
    CHECK(std::isinf(record.grad_norm) == !bad_loss);
    CHECK(enqueue(1, 1).non_finite_at == 1);
    CHECK(model.values() == before);
    optimizer->set_step(1);
    CHECK(enqueue(1, 1).step == 2);
    CHECK(model.values() != before);
  }
}

TEST_CASE("schedules, losses and records that do not fit are refused") {
  const Tensor w = parameter({1, 2, 3}, DType::f32);
  SGD sgd({{"w", w}}, {.lr = 0.1});
  CHECK_THROWS_WITH_AS(sgd.set_schedule({.lr = {0.1, -0.5}, .momentum = {0, 0}}), "sgd: lr -0.5 is negative",
                       Error);
  CHECK_THROWS_WITH_AS(sgd.set_schedule({.lr = {0.1}, .momentum = {0.9}}),
                       "sgd: momentum 0.9 in a step of an optimizer made with momentum 0", Error);
  CHECK_THROWS_WITH_AS(sgd.set_schedule({.lr = {0.1}, .momentum = {}}),
                       "sgd: a schedule of 1 learning rates and 0 momenta", Error);
  CHECK_THROWS_WITH_AS(sgd.add_loss(w), "sgd: add_loss takes one number on cpu, got [3] on cpu", Error);
  CHECK_THROWS_WITH_AS(sgd.set_step(-1), "sgd: step -1 is negative", Error);
  sgd.set_step(2000);
  CHECK(sgd.records(976, 2000).size() == 1024);
  CHECK_THROWS_WITH_AS(sgd.records(975, 1000),
                       "sgd: records of steps 975 to 1000 of 2000, of which 1024 are kept", Error);
  CHECK_THROWS_WITH_AS(sgd.records(1999, 2001),
                       "sgd: records of steps 1999 to 2001 of 2000, of which 1024 are kept", Error);
}

TEST_CASE("backward leaves gradients in the arena, and a step takes no memory") {
  const Tensor w = Tensor::normal({33, 7}, {.seed = 1}).set_requires_grad();
  const Tensor b = Tensor::zeros({33}).set_requires_grad();
  const std::vector<double> before = w.to_vector();
  SGD sgd({{"w", w}, {"b", b}}, {.lr = 0.1, .momentum = 0.9});
  CHECK(w.to_vector() == before);
  CHECK(w.impl()->storage == b.impl()->storage);
  const Tensor x = Tensor::normal({5, 7}, {.seed = 2});
  for (int k = 0; k < 3; ++k) {
    sgd.zero_grad();
    CHECK_FALSE(w.grad().defined());
    sum(linear(x, w, b)).backward();
    CHECK(w.grad().impl() == w.impl()->grad_buffer.impl());
    CHECK(w.grad().impl()->storage == sgd.arena().gradients().impl()->storage);
    reset_peak_memory();
    const int64_t in_use = memory_stats().bytes_in_use;
    sgd.step({.clip_norm = 1.0});
    CHECK(memory_stats().peak_bytes_in_use == in_use);
  }
}

TEST_CASE("an update between forward and backward is noticed") {
  const Tensor w = parameter({1, 2, 3}, DType::f32);
  SGD sgd({{"w", w}}, {.lr = 0.1});
  const Tensor loss = sum(w * w);
  set_grad(w, {1, 1, 1});
  sgd.step();
  CHECK_THROWS_WITH_AS(loss.backward(),
                       "mul: its backward needs a tensor [3] that has been written in place since", Error);
}

TEST_CASE("bf16 parameters have f32 masters: updates too small for bf16 add up") {
  const Tensor w = parameter({1.0}, DType::bf16);
  SGD sgd({{"w", w}}, {.lr = 1.0});
  for (int k = 0; k < 64; ++k) {
    set_grad(w, {0x1p-10});  // half a unit in the last place of 1 is 2^-9 below it
    sgd.step();
  }
  CHECK(w.item() == 1.0 - 64 * 0x1p-10);

  // Values written from outside, as by a loaded checkpoint, are taken over.
  {
    NoGrad guard;
    w.copy_(Tensor::full({1}, 3.0));
  }
  set_grad(w, {0.5});
  sgd.step();
  CHECK(w.item() == 2.5);
}

TEST_CASE("optimizers refuse options and parameters that make no sense") {
  const auto p = [] { return parameter({1, 2}, DType::f32); };
  const auto sgd = [&](const SGDOptions& o) { SGD({{"p", p()}}, o); };
  CHECK_THROWS_WITH_AS(sgd({.lr = -1}), "SGD: lr -1 is negative", Error);
  CHECK_THROWS_WITH_AS(sgd({.momentum = -0.5}), "SGD: momentum -0.5 is negative", Error);
  CHECK_THROWS_WITH_AS(sgd({.weight_decay = -2}), "SGD: weight_decay -2 is negative", Error);
  CHECK_THROWS_WITH_AS(sgd({.nesterov = true}),
                       "SGD: nesterov needs momentum > 0 and dampening 0, got 0 and 0", Error);
  CHECK_THROWS_WITH_AS(sgd({.momentum = 0.5, .dampening = 0.5, .nesterov = true}),
                       "SGD: nesterov needs momentum > 0 and dampening 0, got 0.5 and 0.5", Error);
  const auto adam = [&](const AdamOptions& o) { Adam({{"p", p()}}, o); };
  CHECK_THROWS_WITH_AS(adam({.lr = -1}), "Adam: lr -1 is negative", Error);
  CHECK_THROWS_WITH_AS(adam({.beta1 = 1}), "Adam: beta1 1 is not in [0, 1)", Error);
  CHECK_THROWS_WITH_AS(adam({.beta2 = -0.5}), "Adam: beta2 -0.5 is not in [0, 1)", Error);
  CHECK_THROWS_WITH_AS(adam({.eps = -1}), "Adam: eps -1 is negative", Error);
  CHECK_THROWS_WITH_AS(adam({.weight_decay = -1}), "Adam: weight_decay -1 is negative", Error);
  CHECK_THROWS_WITH_AS(Adam({{.parameters = {{"p", p()}}, .beta2 = 1.0}}, {}),
                       "Adam: beta2 1 is not in [0, 1)", Error);
  CHECK_THROWS_WITH_AS(SGD({{.parameters = {{"p", p()}}, .weight_decay = -1.0}}, {}),
                       "optimizer: weight_decay -1 is negative", Error);
  CHECK_THROWS_WITH_AS(
      SGD({{.parameters = {{"p", p()}}, .momentum = 0.0}}, {.momentum = 0.9, .nesterov = true}),
      "SGD: nesterov needs momentum > 0 and dampening 0, got 0 and 0", Error);

  const Tensor a = p();
  CHECK_THROWS_WITH_AS(SGD({{"a", a}, {"b", a}}, {}), "optimizer: parameter b is given twice", Error);
  CHECK_THROWS_WITH_AS(SGD({{"a", a}, {"a", p()}}, {}), "optimizer: parameter a is given twice", Error);
  CHECK_THROWS_WITH_AS(SGD({{"a", Tensor::ones({2})}}, {}),
                       "optimizer: parameter a is not a leaf that requires a gradient", Error);
  CHECK_THROWS_WITH_AS(SGD({{"a", a * 2.0}}, {}),
                       "optimizer: parameter a is not a leaf that requires a gradient", Error);
  CHECK_THROWS_WITH_AS(SGD({{"a", a}, {"b", parameter({1})}}, {}),
                       "optimizer: parameter b is f64, the others are f32", Error);
  CHECK_THROWS_WITH_AS(SGD(std::vector<NamedTensor>{}, {}), "optimizer: got no parameters", Error);

  SGD plain({{"a", a}}, {.lr = 0.1});
  CHECK_THROWS_WITH_AS(plain.step({.lr = -1}), "sgd: lr -1 is negative", Error);
  CHECK_THROWS_WITH_AS(plain.step({.momentum = 0.9}),
                       "sgd: momentum 0.9 in a step of an optimizer made with momentum 0", Error);
  AdamW other({{"a", a}}, {});
  CHECK_THROWS_WITH_AS(plain.step(), "sgd: parameter a was taken over by another optimizer", Error);
  a.set_grad(Tensor::ones({2}));
  CHECK_THROWS_WITH_AS(other.step({.momentum = 1.0}), "adamw: beta1 1 is not in [0, 1)", Error);
  CHECK_THROWS_WITH_AS(clip_grad_norm_({{"a", a}}, 0), "clip_grad_norm_: max_norm 0 is not positive", Error);
}
