#include "optim/optimizer.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/autograd.h"
#include "core/parallel.h"

namespace galvan {
namespace {

std::vector<NamedTensor> flattened(const std::vector<ParameterGroup>& groups) {
  std::vector<NamedTensor> all;
  for (const ParameterGroup& group : groups)
    all.insert(all.end(), group.parameters.begin(), group.parameters.end());
  return all;
}

// PyTorch's: the small number keeps a zero norm from dividing by zero.
double clip_scale(double norm, double max_norm) { return std::min(1.0, max_norm / (norm + 1e-6)); }

}  // namespace

std::vector<ParameterGroup> decay_matrices_only(const std::vector<NamedTensor>& parameters) {
  std::vector<ParameterGroup> groups(2);
  groups[1].weight_decay = 0.0;
  for (const NamedTensor& parameter : parameters)
    groups[parameter.second.rank() >= 2 ? 0 : 1].parameters.push_back(parameter);
  std::erase_if(groups, [](const ParameterGroup& group) { return group.parameters.empty(); });
  return groups;
}

Optimizer::Optimizer(std::vector<ParameterGroup> groups, double lr, double momentum, double weight_decay,
                     std::vector<std::string> state_names)
    : arena_(flattened(groups)),
      groups_(std::move(groups)),
      lr_(lr),
      momentum_(momentum),
      weight_decay_(weight_decay),
      state_names_(std::move(state_names)) {
  for (size_t g = 0; g < groups_.size(); ++g) {
    const ParameterGroup& group = groups_[g];
    check(group.lr_scale >= 0, "optimizer: lr_scale ", group.lr_scale, " is negative");
    check(group.weight_decay.value_or(0) >= 0, "optimizer: weight_decay ", group.weight_decay.value_or(0),
          " is negative");
    group_of_.insert(group_of_.end(), group.parameters.size(), static_cast<int>(g));
    groups_[g].parameters.clear();  // the arena has them
  }
  for (size_t i = 0; i < state_names_.size(); ++i) states_.push_back(arena_.make_state());
  updates_.resize(arena_.segments().size());
  partial_norms_.resize(arena_.pieces().size());
}

double Optimizer::grad_norm() const {
  const auto& pieces = arena_.pieces();
  parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t i) {
    const auto& piece = pieces[i];
    partial_norms_[i] = 0;
    const Tensor& grad = arena_.segments()[piece.segment].parameter.impl()->grad;
    if (!grad.defined()) return;
    dispatch<"optimizer">(arena_.gradients(), [&]<class T>(auto on) {
      partial_norms_[i] = sum_of_squares<T>(on, arena_.gradients().data<T>() + piece.begin, piece.size);
    });
  });
  double sum = 0;
  for (double partial : partial_norms_) sum += partial;
  return std::sqrt(sum);
}

StepResult Optimizer::step(const StepOptions& options) {
  NoGrad guard;
  const double lr = options.lr.value_or(lr_), momentum = options.momentum.value_or(0.0);
  check(lr >= 0, name(), ": lr ", lr, " is negative");
  check(momentum >= 0, name(), ": momentum ", momentum, " is negative");
  check(momentum == 0 || momentum_ > 0, name(), ": momentum ", momentum,
        " in a step of an optimizer made with momentum ", momentum_);
  for (const auto& segment : arena_.segments()) {
    TensorImpl& impl = *segment.parameter.impl();
    check(impl.storage == arena_.parameters().impl()->storage, name(), ": parameter ", segment.name,
          " was taken over by another optimizer");
    if (impl.grad.defined() && impl.grad.impl() != impl.grad_buffer.impl()) {  // set by hand
      impl.grad_buffer.copy_(impl.grad);
      impl.grad = impl.grad_buffer;
    }
  }

  StepResult result;
  result.grad_norm = std::abs(options.grad_scale) * grad_norm();
  if (options.skip_non_finite && !std::isfinite(result.grad_norm)) {
    result.applied = false;
    return result;
  }
  arena_.adopt_writes();
  double scale = options.grad_scale;
  if (options.clip_norm > 0) scale *= clip_scale(result.grad_norm, options.clip_norm);

  for (size_t s = 0; s < updates_.size(); ++s) {
    if (!arena_.segments()[s].parameter.impl()->grad.defined()) continue;
    const ParameterGroup& group = this->group(static_cast<int>(s));
    prepare(static_cast<int>(s), {.lr = lr * group.lr_scale,
                                  .momentum = options.momentum.value_or(own_momentum(static_cast<int>(s))),
                                  .weight_decay = group.weight_decay.value_or(weight_decay_),
                                  .grad_scale = scale,
                                  .updates = ++updates_[s]});
  }
  const auto& pieces = arena_.pieces();
  parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t i) {
    if (arena_.segments()[pieces[i].segment].parameter.impl()->grad.defined()) update(pieces[i]);
  });
  arena_.updated();
  return result;
}

void Optimizer::zero_grad() {
  for (const auto& segment : arena_.segments()) segment.parameter.impl()->grad = Tensor();
}

std::vector<NamedTensor> Optimizer::state_views() const {
  std::vector<NamedTensor> views;
  const auto add = [&](const std::string& kind, const Tensor& block) {
    for (const auto& segment : arena_.segments())
      views.emplace_back(kind + "." + segment.name, arena_.view(block, segment));
  };
  for (size_t i = 0; i < states_.size(); ++i) add(state_names_[i], states_[i]);
  if (arena_.dtype() == DType::bf16) add("master", arena_.masters());
  return views;
}

std::vector<NamedTensor> Optimizer::state() const {
  std::vector<NamedTensor> state = state_views();
  std::vector<int32_t> updates(updates_.begin(), updates_.end());
  state.emplace_back("updates", Tensor::from(updates, {static_cast<int64_t>(updates.size())}));
  return state;
}

void Optimizer::load_state(const std::vector<NamedTensor>& state) {
  NoGrad guard;
  const std::map<std::string, Tensor> given(state.begin(), state.end());
  std::vector<NamedTensor> places = state_views();
  places.emplace_back("updates",
                      Tensor::zeros({static_cast<int64_t>(updates_.size())}, {.dtype = DType::i32}));
  check(given.size() == places.size(), "optimizer state: ", given.size(), " tensors given, ", name(), " has ",
        places.size());
  for (const auto& [key, place] : places) {  // all are checked before any is written
    const auto found = given.find(key);
    check(found != given.end(), "optimizer state: ", key, " is missing");
    check(found->second.shape() == place.shape() && found->second.dtype() == place.dtype(),
          "optimizer state: ", key, " is ", found->second.dtype(), " ", found->second.shape(), ", should be ",
          place.dtype(), " ", place.shape());
  }
  for (const auto& [key, place] : places) place.copy_(given.at(key));
  const std::vector<double> updates = places.back().second.to_vector();
  std::copy(updates.begin(), updates.end(), updates_.begin());
}

double clip_grad_norm_(const std::vector<NamedTensor>& parameters, double max_norm) {
  NoGrad guard;
  check(max_norm > 0, "clip_grad_norm_: max_norm ", max_norm, " is not positive");
  double sum = 0;
  for (const auto& [name, tensor] : parameters) {
    if (!tensor.grad().defined()) continue;
    const Tensor grad = tensor.grad().contiguous();
    dispatch<"optimizer">(
        grad, [&]<class T>(auto on) { sum += sum_of_squares<T>(on, grad.data<T>(), grad.numel()); });
  }
  const double norm = std::sqrt(sum), scale = clip_scale(norm, max_norm);
  if (scale < 1)
    for (const auto& [name, tensor] : parameters)
      if (tensor.grad().defined()) tensor.grad().copy_(tensor.grad() * scale);
  return norm;
}

}  // namespace galvan
