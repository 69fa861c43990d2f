#include "optim/adam.h"

#include <cmath>

namespace galvan {
namespace {

void check_beta(const char* name, double beta) {
  check(beta >= 0 && beta < 1, "Adam: ", name, " ", beta, " is not in [0, 1)");
}

const AdamOptions& checked(const AdamOptions& o) {
  check(o.lr >= 0, "Adam: lr ", o.lr, " is negative");
  check_beta("beta1", o.beta1);
  check_beta("beta2", o.beta2);
  check(o.eps >= 0, "Adam: eps ", o.eps, " is negative");
  check(o.weight_decay >= 0, "Adam: weight_decay ", o.weight_decay, " is negative");
  return o;
}

std::vector<ParameterGroup> checked(std::vector<ParameterGroup> groups) {
  for (const ParameterGroup& group : groups) {
    check_beta("beta1", group.momentum.value_or(0));
    check_beta("beta2", group.beta2.value_or(0));
  }
  return groups;
}

}  // namespace

Adam::Adam(const std::vector<NamedTensor>& parameters, const AdamOptions& options)
    : Adam(std::vector<ParameterGroup>{{.parameters = parameters}}, options) {}

Adam::Adam(std::vector<ParameterGroup> groups, const AdamOptions& options)
    : Adam(std::move(groups), options, false) {}

Adam::Adam(std::vector<ParameterGroup> groups, const AdamOptions& options, bool decoupled)
    : Optimizer(checked(std::move(groups)), checked(options).lr, options.beta1, options.weight_decay,
                {"exp_avg", "exp_avg_sq"}),
      options_(options),
      decoupled_(decoupled),
      coefficients_(arena().segments().size()) {}

void Adam::prepare(int segment, const Hyper& h) {
  check(h.momentum < 1, name(), ": beta1 ", h.momentum, " is not in [0, 1)");
  const double t = static_cast<double>(h.updates), beta2 = group(segment).beta2.value_or(options_.beta2);
  coefficients_[segment] = {.grad_scale = options_.maximize ? -h.grad_scale : h.grad_scale,
                            .decay = decoupled_ ? 1.0 - h.lr * h.weight_decay : 1.0,
                            .weight_decay = decoupled_ ? 0.0 : h.weight_decay,
                            .beta1 = h.momentum,
                            .beta2 = beta2,
                            .step_size = h.lr / (1.0 - std::pow(h.momentum, t)),
                            .inverse_root = 1.0 / std::sqrt(1.0 - std::pow(beta2, t)),
                            .eps = options_.eps};
}

void Adam::update(const ParameterArena::Piece& piece) {
  dispatch<"optimizer">(arena().parameters(), [&]<class T>(auto on) {
    adam_update<T>(on, piece_of<T>(piece), coefficients_[piece.segment]);
  });
}

}  // namespace galvan
