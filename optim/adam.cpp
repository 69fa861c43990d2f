#include "optim/adam.h"

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
    : Optimizer(checked(std::move(groups)), checked(options).lr,
                {.weight_decay = options.weight_decay, .momentum = options.beta1, .beta2 = options.beta2},
                {"exp_avg", "exp_avg_sq"}),
      options_(options),
      decoupled_(decoupled) {}

void Adam::check_momentum(double momentum) const {
  Optimizer::check_momentum(momentum);
  check(momentum < 1, name(), ": beta1 ", momentum, " is not in [0, 1)");
}

void Adam::launch(const StepSettings& settings) const {
  launch_rule(AdamRule{.eps = options_.eps, .maximize = options_.maximize, .decoupled = decoupled_},
              settings);
}

}  // namespace galvan
