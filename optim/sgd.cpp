#include "optim/sgd.h"

namespace galvan {
namespace {

const SGDOptions& checked(const SGDOptions& o) {
  check(o.lr >= 0, "SGD: lr ", o.lr, " is negative");
  check(o.momentum >= 0, "SGD: momentum ", o.momentum, " is negative");
  check(o.weight_decay >= 0, "SGD: weight_decay ", o.weight_decay, " is negative");
  check(!o.nesterov || (o.momentum > 0 && o.dampening == 0),
        "SGD: nesterov needs momentum > 0 and dampening 0, got ", o.momentum, " and ", o.dampening);
  return o;
}

// A buffer is kept for all when anyone has momentum.
std::vector<std::string> state_names(const std::vector<ParameterGroup>& groups, const SGDOptions& o) {
  bool momentum = o.momentum > 0;
  for (const ParameterGroup& group : groups) {
    const double own = group.momentum.value_or(o.momentum);
    check(own >= 0, "SGD: momentum ", own, " is negative");
    check(!o.nesterov || own > 0, "SGD: nesterov needs momentum > 0 and dampening 0, got ", own, " and ",
          o.dampening);
    momentum |= own > 0;
  }
  return momentum ? std::vector<std::string>{"momentum"} : std::vector<std::string>{};
}

}  // namespace

SGD::SGD(const std::vector<NamedTensor>& parameters, const SGDOptions& options)
    : SGD(std::vector<ParameterGroup>{{.parameters = parameters}}, options) {}

SGD::SGD(std::vector<ParameterGroup> groups, const SGDOptions& options)
    : Optimizer(groups, checked(options).lr,
                {.weight_decay = options.weight_decay, .momentum = options.momentum},
                state_names(groups, options)),
      options_(options) {}

void SGD::launch(const StepSettings& settings) const {
  launch_rule(SgdRule{.dampening = options_.dampening,
                      .nesterov = options_.nesterov,
                      .maximize = options_.maximize,
                      .lr_inside = options_.momentum_form == MomentumForm::classic},
              settings);
}

}  // namespace galvan
