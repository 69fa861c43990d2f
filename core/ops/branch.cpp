// attention_branch and mlp_branch: compositions of ops or, where the card has kernels for them (core/branch.h), those.
// Of a branch's gradients the kernels leave out those of the weights, which are sums over all rows:
//   dWout = ds^T y    dWqkv = dqkv^T x            dWdown = ds^T h    dWup = dz^T x
#include "core/branch.h"

#include <algorithm>
#include <iterator>

#include "core/autograd.h"
#include "core/ops/products.h"

namespace galvan {
namespace {

// A branch's inputs, in the order in which they are recorded.
enum Input {
  kX,
  kResidual,
  kFirstWeight,
  kFirstBias,
  kLastWeight,
  kLastBias,
  kNormWeight,
  kNormBias,
  kInputs
};
constexpr const char* kNames[kInputs] = {"x",           "residual",  "first weight", "first bias",
                                         "last weight", "last bias", "norm weight",  "norm bias"};

struct Inputs {
  const Tensor of[kInputs];

  // Throws where they do not fit one another: a branch whose first product has hidden_out columns, of which the last is
  // given hidden_in.
  void check(const char* op, int64_t hidden_out, int64_t hidden_in, double eps) const {
    galvan::check(eps >= 0, op, ": eps must not be negative, got ", eps);
    const Tensor& x = of[kX];
    const DTypes types = types_of(op);
    galvan::check(types.contains(x.dtype()), op, ": takes ", list_of(types), ", not ", x.dtype());
    const int64_t C = x.size(-1);
    const Shape shapes[kInputs] = {x.shape(), x.shape(), {hidden_out, C}, {hidden_out}, {C, hidden_in}, {C},
                                   {C},       {C}};
    for (int i = kResidual; i < kInputs; ++i) {
      if (!of[i].defined() && (i == kFirstBias || i == kLastBias || i == kNormBias)) continue;
      check_same_kind(op, x, of[i]);
      galvan::check(of[i].shape() == shapes[i], op, ": ", kNames[i], " ", of[i].shape(), " is not ",
                    shapes[i], " for x ", x.shape());
    }
  }
};

AddNorm composed_end(const Tensor& b, const Tensor& residual, const LayerNormParameters& norm) {
  return add_layer_norm(b, residual, norm.weight, norm.bias, norm.eps);
}

#ifdef GALVAN_CUDA

bool fit_kernels(const Inputs& in) {
  return std::all_of(std::begin(in.of), std::end(in.of),
                     [](const Tensor& t) { return !t.defined() || is_packed_on_card<bfloat16>(t); });
}

// An upstream gradient, which may be a part of another tensor, for kernels that take packs.
Tensor packed(const Tensor& dy) { return is_packed_on_card<bfloat16>(dy) ? dy : dy.detach().clone(); }

bfloat16* data_or_null(const Tensor& x) { return x.defined() ? x.data<bfloat16>() : nullptr; }

TensorOptions statistics_of(const Tensor& x) { return {.dtype = DType::f32, .device = x.device()}; }

// What a branch's end makes.
struct End {
  Tensor sum, normed, mean, rstd;

  explicit End(const Tensor& x)
      : sum(Tensor::empty_like(x)),
        normed(Tensor::empty_like(x)),
        mean(Tensor::empty({x.numel() / x.size(-1)}, statistics_of(x))),
        rstd(Tensor::empty_like(mean)) {}

  branch::EndForward forward(const Inputs& in, double eps) const {
    return {.bias = data_or_null(in.of[kLastBias]),
            .residual = in.of[kResidual].data<bfloat16>(),
            .norm_weight = in.of[kNormWeight].data<bfloat16>(),
            .norm_bias = data_or_null(in.of[kNormBias]),
            .sum = sum.data<bfloat16>(),
            .normed = normed.data<bfloat16>(),
            .mean = mean.data<float>(),
            .rstd = rstd.data<float>(),
            .eps = eps};
  }
};

// What the backward of a branch keeps of its end, and makes besides the gradients of weights.
struct EndGradients {
  Saved s, norm_weight;
  Tensor mean, rstd;

  EndGradients(const End& end, const Inputs& in)
      : s(save(end.sum)), norm_weight(save(in.of[kNormWeight])), mean(end.mean), rstd(end.rstd) {}

  struct Result {
    Tensor dsum, dnormed;  // dense; dsum may be undefined
    Grads grads = Grads(kInputs);
    Tensor partial;

    branch::Sums sums() const {
      return {.norm_weight = data_or_null(grads[kNormWeight]),
              .norm_bias = data_or_null(grads[kNormBias]),
              .bias = data_or_null(grads[kLastBias]),
              .first_bias = data_or_null(grads[kFirstBias]),
              .partial = partial.data<float>()};
    }
  };

  // Places for the gradients, of weights only where they are needed.
  Result begin(std::span<const Tensor> dys, const Needs& needs, int64_t blocks, int64_t first) const {
    const Tensor& x = *s;
    const int64_t C = x.size(-1);
    Result result{.dsum = dys[0].defined() ? packed(dys[0]) : dys[0],
                  .dnormed = dys[1].defined()
                                 ? packed(dys[1])
                                 : Tensor::zeros(x.shape(), {.dtype = x.dtype(), .device = x.device()}),
                  .partial = Tensor::empty({blocks, 3 * C + first}, statistics_of(x))};
    for (const Input i : {kX, kResidual}) result.grads[i] = Tensor::empty_like(x);
    for (const Input i : {kFirstWeight, kFirstBias, kLastWeight, kLastBias, kNormWeight, kNormBias})
      result.grads[i] = needs.grad_place(i, x.device());
    return result;
  }
  branch::EndBackward backward(const Result& result) const {
    return {.dsum = data_or_null(result.dsum),
            .dnormed = result.dnormed.data<bfloat16>(),
            .s = s->data<bfloat16>(),
            .norm_weight = norm_weight->data<bfloat16>(),
            .mean = mean.data<float>(),
            .rstd = rstd.data<float>(),
            .ds = result.grads[kResidual].data<bfloat16>()};
  }
};

void products_of_rows(double rows, double in, double out) { profile::computes(2.0 * rows * in * out); }

AddNorm attention_kernel(const Inputs& in, int64_t heads, double eps) {
  const Tensor& x = in.of[kX];
  const int64_t B = x.size(0), T = x.size(1), C = x.size(2);
  const Tensor qkv = Tensor::empty({B, T, 3 * C}, {.dtype = x.dtype(), .device = x.device()});
  const Tensor y = Tensor::empty_like(x), lse = Tensor::empty({B, heads, T}, statistics_of(x));
  const End end(x);
  const auto flops = [B, T, C](int products_of_scores) {
    products_of_rows(double(B * T), double(C), 4.0 * double(C));
    profile::computes(double(products_of_scores) * double(B * C) * double(T) * double(T + 1));
  };
  dispatch_on_card<"attention_branch">(x, [&](Cuda on) {
    flops(2);
    branch::attention_forward(on, {.x = x.data<bfloat16>(),
                                   .qkv_weight = in.of[kFirstWeight].data<bfloat16>(),
                                   .qkv_bias = data_or_null(in.of[kFirstBias]),
                                   .out_weight = in.of[kLastWeight].data<bfloat16>(),
                                   .qkv = qkv.data<bfloat16>(),
                                   .y = y.data<bfloat16>(),
                                   .lse = lse.data<float>(),
                                   .end = end.forward(in, eps),
                                   .batch = B,
                                   .length = T,
                                   .heads = heads,
                                   .columns = C});
  });
  const auto backward = [B, T, C, heads, flops, qkv, y, lse, of_end = EndGradients(end, in), x = save(x),
                         qkv_weight = save(in.of[kFirstWeight]), out_weight = save(in.of[kLastWeight])](
                            std::span<const Tensor> dys, Needs needs) -> Grads {
    EndGradients::Result result = of_end.begin(dys, needs, branch::attention_blocks(B), 3 * C);
    Grads& grads = result.grads;
    const Tensor dqkv = Tensor::empty_like(qkv);
    dispatch_on_card<"attention_branch">(y, [&](Cuda on) {
      flops(5);
      branch::attention_backward(on, {.end = of_end.backward(result),
                                      .qkv = qkv.data<bfloat16>(),
                                      .y = y.data<bfloat16>(),
                                      .qkv_weight = qkv_weight->data<bfloat16>(),
                                      .out_weight = out_weight->data<bfloat16>(),
                                      .lse = lse.data<float>(),
                                      .dqkv = dqkv.data<bfloat16>(),
                                      .dx = grads[kX].data<bfloat16>(),
                                      .sums = result.sums(),
                                      .batch = B,
                                      .length = T,
                                      .heads = heads,
                                      .columns = C});
    });
    if (needs[kFirstWeight]) weight_gradient(rows_of(dqkv), rows_of(x), grads[kFirstWeight]);
    if (needs[kLastWeight]) weight_gradient(rows_of(grads[kResidual]), rows_of(y), grads[kLastWeight]);
    return grads;
  };
  Tensor outputs[] = {end.sum, end.normed};
  record_outputs("attention_branch", outputs, in.of, backward);
  return {outputs[0], outputs[1]};
}

AddNorm mlp_kernel(const Inputs& in, double eps) {
  const Tensor& x = in.of[kX];
  const int64_t C = x.size(-1), N = x.numel() / C, F = in.of[kFirstWeight].size(0);
  const bool keeps = grad_enabled() && autograd::any_requires_grad(in.of);
  const Tensor z = keeps ? Tensor::empty({N, F}, {.dtype = x.dtype(), .device = x.device()}) : Tensor();
  const End end(x);
  const auto flops = [N, C, F] { products_of_rows(double(N), double(C), 2.0 * double(F)); };
  dispatch_on_card<"mlp_branch">(x, [&](Cuda on) {
    flops();
    branch::mlp_forward(on, {.x = x.data<bfloat16>(),
                             .up_weight = in.of[kFirstWeight].data<bfloat16>(),
                             .up_bias = data_or_null(in.of[kFirstBias]),
                             .down_weight = in.of[kLastWeight].data<bfloat16>(),
                             .z = data_or_null(z),
                             .end = end.forward(in, eps),
                             .rows = N,
                             .columns = C,
                             .hidden = F});
  });
  const auto backward = [N, C, F, flops, z, of_end = EndGradients(end, in), x = save(x),
                         up_weight = save(in.of[kFirstWeight]), down_weight = save(in.of[kLastWeight])](
                            std::span<const Tensor> dys, Needs needs) -> Grads {
    EndGradients::Result result = of_end.begin(dys, needs, branch::mlp_blocks(N), F);
    Grads& grads = result.grads;
    const Tensor h = Tensor::empty_like(z), dz = Tensor::empty_like(z);
    dispatch_on_card<"mlp_branch">(z, [&](Cuda on) {
      flops();
      branch::mlp_backward(on, {.end = of_end.backward(result),
                                .z = z.data<bfloat16>(),
                                .up_weight = up_weight->data<bfloat16>(),
                                .down_weight = down_weight->data<bfloat16>(),
                                .h = h.data<bfloat16>(),
                                .dz = dz.data<bfloat16>(),
                                .dx = grads[kX].data<bfloat16>(),
                                .sums = result.sums(),
                                .rows = N,
                                .columns = C,
                                .hidden = F});
    });
    if (needs[kFirstWeight]) weight_gradient(dz, rows_of(x), grads[kFirstWeight]);
    if (needs[kLastWeight]) weight_gradient(rows_of(grads[kResidual]), h, grads[kLastWeight]);
    return grads;
  };
  Tensor outputs[] = {end.sum, end.normed};
  record_outputs("mlp_branch", outputs, in.of, backward);
  return {outputs[0], outputs[1]};
}

#endif

}  // namespace

AddNorm attention_branch(const Tensor& x, const Tensor& residual, const LinearParameters& qkv, int64_t heads,
                         const LinearParameters& out, const LayerNormParameters& norm) {
  check_defined("attention_branch", x);
  check(x.rank() == 3, "attention_branch: x must be [B, T, C], got ", x.shape());
  const Inputs in{{x, residual, qkv.weight, qkv.bias, out.weight, out.bias, norm.weight, norm.bias}};
  in.check("attention_branch", 3 * x.size(2), x.size(2), norm.eps);
#ifdef GALVAN_CUDA
  if (fit_kernels(in) && branch::takes_attention(x.size(1), heads, x.size(2)))
    return attention_kernel(in, heads, norm.eps);
#endif
  const Tensor y = packed_attention(linear(x, qkv.weight, qkv.bias), heads, heads);
  return composed_end(linear(y, out.weight, out.bias), residual, norm);
}

AddNorm mlp_branch(const Tensor& x, const Tensor& residual, const LinearParameters& up,
                   const LinearParameters& down, const LayerNormParameters& norm) {
  check_defined("mlp_branch", x);
  check_defined("mlp_branch", up.weight);
  check(x.rank() > 0 && up.weight.rank() == 2, "mlp_branch: needs x [.., C] and a first weight [F, C], got ",
        x.shape(), " and ", up.weight.shape());
  const int64_t hidden = up.weight.size(0);
  const Inputs in{{x, residual, up.weight, up.bias, down.weight, down.bias, norm.weight, norm.bias}};
  in.check("mlp_branch", hidden, hidden, norm.eps);
#ifdef GALVAN_CUDA
  if (fit_kernels(in) && branch::takes_mlp(x.size(-1), hidden)) return mlp_kernel(in, norm.eps);
#endif
  const bool biases = up.bias.defined() && down.bias.defined();
  const Tensor b = biases ? gelu_mlp(x, up.weight, up.bias, down.weight, down.bias)
                          : linear(gelu(linear(x, up.weight, up.bias)), down.weight, down.bias);
  return composed_end(b, residual, norm);
}

}  // namespace galvan
