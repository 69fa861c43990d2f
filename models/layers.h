// Layers as plain structs: tensors with a forward. Each lists its parameters by name, with parameters(visit,
// prefix); initial values are drawn from a stream named after the parameter, so they do not depend on the
// order of construction.
//
// A leading replica dimension (many small models trained as one) needs no other layer: a weight [R, out, in]
// times activations [R, .., in] is the batched matmul that linear already is, and each replica's seed draws
// its own values.
#pragma once

#include <string>

#include "core/ops.h"
#include "models/config.h"

namespace galvan {

// How parameters are made.
struct Init {
  uint64_t seed = 0;
  double stddev = 0.02;  // of weights and embeddings; GPT-2, Radford et al. 2019, section 2.3
  TensorOptions tensor = {};
};

// A trainable tensor drawn from N(0, stddev^2), its stream named `name`.
inline Tensor normal_parameter(const std::string& name, const Shape& shape, const Init& init) {
  Tensor w = Tensor::normal(
      shape, {.stddev = init.stddev, .seed = init.seed, .stream = name, .tensor = init.tensor});
  return w.set_requires_grad();
}
inline Tensor constant_parameter(const Shape& shape, double value, const Init& init) {
  return Tensor::full(shape, value, init.tensor).set_requires_grad();
}

struct Linear {
  Tensor weight;  // [out, in]
  Tensor bias;    // [out], or undefined

  static Linear make(const std::string& name, int64_t in, int64_t out, bool bias, const Init& init) {
    return {.weight = normal_parameter(name + ".weight", {out, in}, init),
            .bias = bias ? constant_parameter({out}, 0.0, init) : Tensor()};
  }
  Tensor operator()(const Tensor& x) const { return linear(x, weight, bias); }
  operator LinearParameters() const { return {weight, bias}; }

  template <class Visit>
  void parameters(const Visit& visit, const std::string& prefix) const {
    visit(prefix + ".weight", weight);
    if (bias.defined()) visit(prefix + ".bias", bias);
  }
};

struct Embedding {
  Tensor weight;  // [rows, C]

  static Embedding make(const std::string& name, int64_t rows, int64_t width, const Init& init) {
    return {.weight = normal_parameter(name + ".weight", {rows, width}, init)};
  }
  Tensor operator()(const Tensor& indices) const { return embedding(weight, indices); }

  template <class Visit>
  void parameters(const Visit& visit, const std::string& prefix) const {
    visit(prefix + ".weight", weight);
  }
};

// Layer norm or RMS norm.
struct NormLayer {
  Norm kind = Norm::layer;
  double eps = 1e-5;
  Tensor weight;  // [C]
  Tensor bias;    // [C], or undefined

  static NormLayer make(const ModelConfig& config, const Init& init) {
    const bool bias = config.norm == Norm::layer && config.bias;
    return {.kind = config.norm,
            .eps = config.norm_eps,
            .weight = constant_parameter({config.width}, 1.0, init),
            .bias = bias ? constant_parameter({config.width}, 0.0, init) : Tensor()};
  }
  Tensor operator()(const Tensor& x) const {
    return kind == Norm::layer ? layer_norm(x, weight, bias, eps) : rms_norm(x, weight, eps);
  }
  operator LayerNormParameters() const { return {weight, bias, eps}; }
  // x as it is, for the residual stream, and its norm.
  AddNorm keep(const Tensor& x) const {
    return kind == Norm::layer ? keep_layer_norm(x, weight, bias, eps) : keep_rms_norm(x, weight, eps);
  }
  // x + residual, and its norm, in one pass.
  AddNorm add(const Tensor& x, const Tensor& residual) const {
    return kind == Norm::layer ? add_layer_norm(x, residual, weight, bias, eps)
                               : add_rms_norm(x, residual, weight, eps);
  }

  template <class Visit>
  void parameters(const Visit& visit, const std::string& prefix) const {
    visit(prefix + ".weight", weight);
    if (bias.defined()) visit(prefix + ".bias", bias);
  }
};

}  // namespace galvan
