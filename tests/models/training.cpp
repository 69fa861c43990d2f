// Fifty steps of two small models, against PyTorch's: losses, gradient norms, all gradients at step 0, final parameters.
// tests/golden/make_training.py says how models, batches and runs are made.
#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "core/autograd.h"
#include "models/huggingface.h"
#include "models/transformer.h"
#include "optim/adam.h"
#include "optim/schedule.h"
#include "optim/sgd.h"
#include "tests/core/close.h"
#include "tests/core/golden.h"

using namespace galvan;
using nlohmann::json;

namespace {

const json& training() {
  static const json file = golden_file("training.json");
  return file;
}

ModelConfig config_of(const json& sizes) {
  ModelConfig c;
  if (sizes.contains("theta")) c = llama_style(c);
  c.vocab = sizes.at("vocabulary");
  c.context = sizes.at("context");
  c.layers = sizes.at("layers");
  c.heads = sizes.at("heads");
  c.kv_heads = sizes.value("kv_heads", 0);
  c.width = sizes.at("width");
  c.mlp_width = sizes.at("hidden");
  c.norm_eps = sizes.at("eps");
  return c;
}

// The parameters under Hugging Face's names, as views; every matrix [out, in].
std::map<std::string, Tensor> by_file_name(const Transformer& model, bool gradients) {
  std::map<std::string, Tensor> own, views;
  for (const auto& [name, tensor] : model.parameters())
    own.emplace(name, gradients ? tensor.grad() : tensor.detach());
  for (const FileTensor& entry : file_layout(model.config()).tensors) {
    const Tensor& whole = own.at(entry.parameter);
    views.emplace(entry.name, entry.end < 0 ? whole : whole.slice(0, entry.begin, entry.end));
  }
  return views;
}

std::unique_ptr<Transformer> make_model(const std::string& name, DType dtype) {
  const json& golden = training().at("models").at(name);
  auto model = std::make_unique<Transformer>(config_of(golden.at("sizes")), Init{.tensor = {.dtype = dtype}});
  NoGrad guard;
  const auto places = by_file_name(*model, false);
  CHECK(places.size() == golden.at("parameters").size());
  for (const json& p : golden.at("parameters")) {
    const Tensor& place = places.at(p.at("name"));
    place.copy_(Tensor::from(golden_input(place.numel(), p.at("seed"), p.at("scale"), p.at("offset")),
                             place.shape(), {.dtype = dtype}));
  }
  return model;
}

double loss_of_step(const Transformer& model, int64_t step) {
  const json& t = training();
  const int64_t B = t.at("batch"), T = model.config().context;
  const auto seed =
      static_cast<uint32_t>(t.at("batch_seed").get<int64_t>() + step % t.at("batches").get<int64_t>());
  const Tensor ids = Tensor::from(
      golden_integers(B * (T + 1), seed, static_cast<uint32_t>(model.config().vocab)), {B, T + 1});
  const Tensor loss = cross_entropy(model(ids.slice(1, 0, T)), ids.slice(1, 1, T + 1));
  loss.backward();
  return loss.item();
}

void follow(const json& run) {
  const std::string name = run.at("model"), optimizer = run.at("optimizer"), dtype = run.at("dtype");
  const bool is_f64 = dtype == "f64", is_adamw = optimizer == "adamw";
  const double tolerance = is_f64 ? 1e-9 : 5e-5;
  CAPTURE(name);
  CAPTURE(optimizer);
  CAPTURE(dtype);
  const auto model = make_model(name, is_f64 ? DType::f64 : DType::f32);
  const json &sgd = training().at("sgd"), &cycle = training().at("cycle"), &adamw = training().at("adamw");
  std::unique_ptr<Optimizer> update;
  Schedule schedule = FixedLR{adamw.at("lr")};
  if (is_adamw) {
    update = std::make_unique<AdamW>(decay_matrices_only(model->parameters()),
                                     AdamOptions{.lr = adamw.at("lr"),
                                                 .beta1 = adamw.at("betas")[0],
                                                 .beta2 = adamw.at("betas")[1],
                                                 .eps = adamw.at("eps"),
                                                 .weight_decay = adamw.at("weight_decay")});
  } else {
    update = std::make_unique<SGD>(model->parameters(),
                                   SGDOptions{.lr = sgd.at("lr"), .momentum = sgd.at("momentum")});
    schedule = CyclicLR{.base_lr = cycle.at("base_lr"),
                        .max_lr = cycle.at("max_lr"),
                        .step_size_up = cycle.at("step_size_up"),
                        .base_momentum = cycle.at("base_momentum"),
                        .max_momentum = cycle.at("max_momentum")};
  }
  const std::string prefix = name + "/" + dtype + "/";
  for (int64_t step = 0; step < training().at("steps").get<int64_t>(); ++step) {
    CAPTURE(step);
    const double loss = loss_of_step(*model, step);
    CHECK(std::abs(loss - run.at("losses")[step].get<double>()) < tolerance);
    if (step == 0)
      for (const auto& [key, grad] : by_file_name(*model, true)) {
        const std::string& parameter = key;  // clang 14 captures no structured bindings
        CAPTURE(parameter);
        CHECK(largest_difference(grad.to_vector(),
                                 golden_tensor("training.safetensors", prefix + "gradient/" + parameter)) <
              tolerance);
      }
    const ScheduleValue now = schedule.at(step);
    const StepResult result = update->step({.lr = now.lr,
                                            .momentum = now.momentum,
                                            .clip_norm = is_adamw ? adamw.at("clip").get<double>() : 0.0});
    CHECK(std::abs(result.grad_norm - run.at("norms")[step].get<double>()) < 20 * tolerance);
    update->zero_grad();
  }
  for (const auto& [key, value] : by_file_name(*model, false)) {
    const std::string& parameter = key;  // clang 14 captures no structured bindings
    CAPTURE(parameter);
    const bool key_bias = is_adamw && parameter.ends_with("c_attn.bias");
    std::vector<double> expected =
        golden_tensor("training.safetensors", prefix + optimizer + "/" + parameter);
    if (!key_bias) {
      CHECK(largest_difference(value.to_vector(), expected) < tolerance);
      continue;
    }
    // Queries and values; the keys' gradient is rounding noise, which AdamW scales up.
    const int64_t C = model->config().width;
    for (int64_t part : {0, 2}) {
      const std::vector<double> third(expected.begin() + part * C, expected.begin() + (part + 1) * C);
      CHECK(largest_difference(value.slice(0, part * C, (part + 1) * C).to_vector(), third) < tolerance);
    }
  }
}

}  // namespace

TEST_CASE("training follows PyTorch") {
  for (const json& run : training().at("runs")) follow(run);
}
