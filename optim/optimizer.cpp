#include "optim/optimizer.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/autograd.h"

namespace galvan {
namespace {

std::vector<NamedTensor> flattened(const std::vector<ParameterGroup>& groups) {
  std::vector<NamedTensor> all;
  for (const ParameterGroup& group : groups)
    all.insert(all.end(), group.parameters.begin(), group.parameters.end());
  return all;
}

std::vector<SegmentOptions> segment_options(const std::vector<ParameterGroup>& groups,
                                            const SegmentOptions& defaults) {
  std::vector<SegmentOptions> segments;
  for (const ParameterGroup& group : groups) {
    check(group.lr_scale >= 0, "optimizer: lr_scale ", group.lr_scale, " is negative");
    check(group.weight_decay.value_or(0) >= 0, "optimizer: weight_decay ", group.weight_decay.value_or(0),
          " is negative");
    segments.insert(segments.end(), group.parameters.size(),
                    {.lr_scale = group.lr_scale,
                     .weight_decay = group.weight_decay.value_or(defaults.weight_decay),
                     .momentum = group.momentum.value_or(defaults.momentum),
                     .beta2 = group.beta2.value_or(defaults.beta2)});
  }
  return segments;
}

}  // namespace

std::vector<ParameterGroup> decay_matrices_only(const std::vector<NamedTensor>& parameters) {
  std::vector<ParameterGroup> groups(2);
  groups[1].weight_decay = 0.0;
  for (const NamedTensor& parameter : parameters)
    groups[parameter.second.rank() >= 2 ? 0 : 1].parameters.push_back(parameter);
  std::erase_if(groups, [](const ParameterGroup& group) { return group.parameters.empty(); });
  return groups;
}

Optimizer::Optimizer(const std::vector<ParameterGroup>& groups, double lr, const SegmentOptions& defaults,
                     std::vector<std::string> state_names)
    : arena_(flattened(groups)),
      lr_(lr),
      momentum_(defaults.momentum),
      weight_decay_(defaults.weight_decay),
      state_names_(std::move(state_names)),
      pieces_(arena_.pieces(), device()),
      segments_(segment_options(groups, defaults), device()),
      has_grad_(std::vector<int32_t>(arena_.segments().size()), device()),
      control_({StepControl{}}, device()),
      records_(std::vector<StepRecord>(kStepRecords), device()) {
  for (const ParameterGroup& group : groups)
    has_own_decay_.insert(has_own_decay_.end(), group.parameters.size(), group.weight_decay.has_value());
  const auto segments = static_cast<int64_t>(arena_.segments().size());
  for (size_t i = 0; i < state_names_.size(); ++i) states_.push_back(arena_.make_state());
  updates_ = Tensor::zeros({segments}, {.dtype = DType::i32, .device = device()});
  partials_ = Tensor::zeros({static_cast<int64_t>(arena_.pieces().size())},
                            {.dtype = DType::f64, .device = device()});
  coefficients_ = Tensor::zeros({segments * kCoefficientBytes / size_of(DType::f64)},
                                {.dtype = DType::f64, .device = device()});
}

UpdatePieces Optimizer::pieces() const {
  return {.pieces = pieces_.data(), .count = partials_.numel(), .has_grad = has_grad_.data()};
}

StepInputs Optimizer::inputs(const StepSettings& settings) const {
  return {.settings = settings,
          .partials = partials_.data<double>(),
          .pieces = partials_.numel(),
          .segments = segments_.data(),
          .has_grad = has_grad_.data(),
          .updates = updates_.data<int32_t>(),
          .count = updates_.numel(),
          .control = control_.data(),
          .records = records_.data()};
}

// Puts gradients that were set by hand into the arena, and tells the device which parameters have one.
void Optimizer::collect_gradients() const {
  NoGrad guard;
  bool changed = false;
  const std::span<int32_t> has_grad = has_grad_.host();
  for (size_t s = 0; s < has_grad.size(); ++s) {
    const auto& segment = arena_.segments()[s];
    TensorImpl& impl = *segment.parameter.impl();
    check(impl.storage == arena_.parameters().impl()->storage, name(), ": parameter ", segment.name,
          " was taken over by another optimizer");
    if (impl.grad.defined() && impl.grad.impl() != impl.grad_buffer.impl()) {
      impl.grad_buffer.copy_(impl.grad);
      impl.grad = impl.grad_buffer;
    }
    changed |= has_grad[s] != impl.grad.defined();
    has_grad[s] = impl.grad.defined();
  }
  if (changed) has_grad_.to_device();
}

double Optimizer::grad_norm() const {
  collect_gradients();
  dispatch<"optimizer">(arena_.gradients(), [&]<class T>(auto on) {
    squares_of_pieces<T>(on, arena_.gradients().data<T>(), pieces(), partials_.data<double>());
  });
  double sum = 0;
  for (const double partial : partials_.to_vector()) sum += partial;
  return std::sqrt(sum);
}

std::vector<double> Optimizer::segment_grad_squares() const {
  std::vector<double> sums(arena_.segments().size());
  const std::vector<double> partials = partials_.to_vector();
  for (size_t i = 0; i < partials.size(); ++i)
    sums[static_cast<size_t>(arena_.pieces()[i].segment)] += partials[i];
  return sums;
}

void Optimizer::check_momentum(double momentum) const {
  check(momentum >= 0, name(), ": momentum ", momentum, " is negative");
  check(momentum == 0 || momentum_ > 0, name(), ": momentum ", momentum,
        " in a step of an optimizer made with momentum ", momentum_);
}

void Optimizer::check_lr(double lr) const { check(lr >= 0, name(), ": lr ", lr, " is negative"); }

void Optimizer::set_weight_decay(double weight_decay) {
  check(weight_decay >= 0, name(), ": weight_decay ", weight_decay, " is negative");
  weight_decay_ = weight_decay;
  const std::span<SegmentOptions> segments = segments_.to_host();
  for (size_t s = 0; s < segments.size(); ++s)
    if (!has_own_decay_[s]) segments[s].weight_decay = weight_decay;
  segments_.to_device();
}

void Optimizer::set_schedule(const ScheduleTable& table) {
  check(!table.lr.empty() && table.momentum.size() == table.lr.size(), name(), ": a schedule of ",
        table.lr.size(), " learning rates and ", table.momentum.size(), " momenta");
  for (const double lr : table.lr) check_lr(lr);
  for (const double momentum : table.momentum) check_momentum(momentum);
  const Shape shape{static_cast<int64_t>(table.lr.size())};
  lrs_ = Tensor::from(table.lr, shape).to(device());
  momenta_ = Tensor::from(table.momentum, shape).to(device());
}

void Optimizer::enqueue(const StepOptions& options, bool forget_non_finite) {
  NoGrad guard;
  if (options.lr) check_lr(*options.lr);
  if (options.momentum) check_momentum(*options.momentum);
  collect_gradients();
  const auto scheduled = [](const Tensor& table, const std::optional<double>& given) -> const double* {
    return given || !table.defined() ? nullptr : table.data<double>();
  };
  launch({.lr = options.lr.value_or(lr_),
          .momentum = options.momentum.value_or(-1.0),
          .lrs = scheduled(lrs_, options.lr),
          .momenta = scheduled(momenta_, options.momentum),
          .steps = lrs_.defined() ? lrs_.numel() : 0,
          .grad_scale = options.grad_scale,
          .clip_norm = options.clip_norm,
          .skip_non_finite = options.skip_non_finite,
          .forget_non_finite = forget_non_finite});
  note_write("step", arena_.parameters());
}

void Optimizer::enqueue_step(const StepOptions& options) { enqueue(options, false); }

StepResult Optimizer::step(const StepOptions& options) {
  enqueue(options, true);
  const StepControl after = control();
  return {.grad_norm = after.grad_norm, .applied = after.applied != 0};
}

void Optimizer::add_loss(const Tensor& loss) const {
  check(loss.numel() == 1 && loss.device() == device(), name(), ": add_loss takes one number on ", device(),
        ", got ", loss.shape(), " on ", loss.device());
  dispatch<"optimizer">(loss,
                        [&]<class T>(auto on) { galvan::add_loss<T>(on, loss.data<T>(), control_.data()); });
}

std::vector<StepRecord> Optimizer::records(int64_t begin, int64_t end) const {
  const StepControl now = control();
  const int64_t written = now.step + (now.non_finite_at >= 0 ? 1 : 0);
  check(begin >= std::max<int64_t>(0, written - kStepRecords) && begin <= end && end <= written, name(),
        ": records of steps ", begin, " to ", end, " of ", written, ", of which ", kStepRecords, " are kept");
  const std::span<const StepRecord> kept = records_.to_host();
  std::vector<StepRecord> records;
  for (int64_t step = begin; step < end; ++step)
    records.push_back(kept[static_cast<size_t>(step % kStepRecords)]);
  return records;
}

void Optimizer::set_step(int64_t step) const {
  check(step >= 0, name(), ": step ", step, " is negative");
  control_.host()[0] = {.step = step};
  control_.to_device();
}

void Optimizer::zero_grad() {
  for (const auto& segment : arena_.segments()) segment.parameter.impl()->grad = Tensor();
}

std::vector<NamedTensor> Optimizer::state() const {
  std::vector<NamedTensor> state;
  const auto add = [&](const std::string& kind, const Tensor& block) {
    for (const auto& segment : arena_.segments())
      state.emplace_back(kind + "." + segment.name, arena_.view(block, segment));
  };
  for (size_t i = 0; i < states_.size(); ++i) add(state_names_[i], states_[i]);
  if (arena_.dtype() == DType::bf16) add("master", arena_.masters());
  state.emplace_back("updates", updates_);
  return state;
}

void Optimizer::load_state(const std::vector<NamedTensor>& state) {
  NoGrad guard;
  const std::map<std::string, Tensor> given(state.begin(), state.end());
  const std::vector<NamedTensor> places = this->state();
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
}

double clip_grad_norm_(const std::vector<NamedTensor>& parameters, double max_norm) {
  NoGrad guard;
  check(max_norm > 0, "clip_grad_norm_: max_norm ", max_norm, " is not positive");
  double total = 0;
  for (const auto& [name, tensor] : parameters) {
    if (!tensor.grad().defined()) continue;
    const Tensor grad = tensor.grad().to(DType::f64);
    total += sum(grad * grad).item();
  }
  const double norm = std::sqrt(total), scale = max_norm / (norm + 1e-6);
  if (scale < 1)
    for (const auto& [name, tensor] : parameters)
      if (tensor.grad().defined()) tensor.grad().copy_(tensor.grad() * scale);
  return norm;
}

}  // namespace galvan
