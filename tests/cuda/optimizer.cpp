// The optimizers' step on the card equals the CPU's, and replays.
#include <algorithm>
#include <iterator>

#include "core/variants.h"
#include "kernel_test.h"

using namespace galvan;

namespace {

// Segments of odd sizes, one of two pieces, one without a gradient.
constexpr int32_t kSizes[] = {1, 31, 33, 16384 + 4099, 65, 1023, 1024, 1025, 3};
constexpr int64_t kSegments = std::size(kSizes), kIdle = 4;

std::vector<UpdatePiece> pieces_of_all() {
  constexpr int32_t kPiece = 16384;
  std::vector<UpdatePiece> pieces;
  int64_t begin = 0;
  for (int32_t s = 0; s < kSegments; ++s) {
    for (int32_t at = 0; at < kSizes[s]; at += kPiece)
      pieces.push_back({begin + at, s, std::min(kPiece, kSizes[s] - at)});
    begin += (kSizes[s] + 63) / 64 * 64;
  }
  return pieces;
}

std::vector<SegmentOptions> options_of_all() {
  std::vector<SegmentOptions> segments;
  for (int64_t s = 0; s < kSegments; ++s)
    segments.push_back({.lr_scale = s == 2 ? 0.5 : 1.0,
                        .weight_decay = s % 2 == 0 ? 0.1 : 0.0,
                        .momentum = s == 3 ? 0.8 : 0.9,
                        .beta2 = 0.99});
  return segments;
}

// Masters that round to their weights, but for every seventh weight, which somebody has written.
template <class T>
std::vector<T> weights_of(const std::vector<Acc<T>>& masters) {
  std::vector<T> weights(masters.begin(), masters.end());
  for (size_t i = 0; i < weights.size(); i += 7) weights[i] = T(0.25f);
  return weights;
}

// All that a step works on, in both memories.
template <class T, class Rule>
struct Blocks {
  using M = Acc<T>;
  static constexpr int64_t kSize = 24576;

  Both<UpdatePiece> pieces{pieces_of_all()};
  Both<SegmentOptions> segments{options_of_all()};
  Both<int32_t> has_grad{{1, 1, 1, 1, 0, 1, 1, 1, 1}}, updates{kSegments};
  Both<double> partials{static_cast<int64_t>(pieces.host.size())};
  Both<double> lrs{{0.1, 0.02, 0.3}}, momenta{{0.9, 0.7, 0.8}};
  Both<typename Rule::template Coefficients<M>> coefficients{kSegments};
  Both<StepControl> control{1};
  Both<StepRecord> records{kStepRecords};
  Both<M> master{random_values<M>(kSize, "master")};
  Both<T> weight{weights_of<T>(master.host)}, grad{random_values<T>(kSize, "grad")};
  Both<M> state0{random_values<M>(kSize, "state0")}, state1{random_values<M>(kSize, "state1", 0, 1)};
  Both<float> loss{std::vector<float>{0.7f}};

  template <class Context>
  void step(Context on, const Rule& rule, StepSettings settings, bool scheduled) {
    if (scheduled) {
      settings.lrs = lrs.on(on);
      settings.momenta = momenta.on(on);
      settings.steps = static_cast<int64_t>(lrs.host.size());
    }
    M* masters = nullptr;
    if constexpr (std::is_same_v<T, M>) {
      masters = weight.on(on);
    } else {
      masters = master.on(on);
    }
    const auto count = static_cast<int64_t>(pieces.host.size());
    const UpdatePieces all{pieces.on(on), count, has_grad.on(on)};
    add_loss(on, loss.on(on), control.on(on));
    add_loss(on, loss.on(on), control.on(on));
    squares_of_pieces<T>(on, grad.on(on), all, partials.on(on));
    begin_update<Rule, M>(on, rule,
                          {settings, partials.on(on), count, segments.on(on), has_grad.on(on), updates.on(on),
                           kSegments, control.on(on), records.on(on)},
                          coefficients.on(on));
    update_pieces<Rule, T>(on, all, coefficients.on(on), control.on(on),
                           {weight.on(on), masters, grad.on(on), state0.on(on), state1.on(on)});
  }

  void check(int roundings) const {
    weight.check(tolerance<T>(roundings));
    master.check(tolerance<M>(roundings));
    state0.check(tolerance<M>(roundings));
    state1.check(tolerance<M>(roundings));
    partials.check(1e-13);
    CHECK(updates.device.values() == updates.host);
    check_control(control.device.values()[0], control.host[0], 1e-13);
    const StepRecord a = records.device.values()[0], b = records.host[0];
    CHECK(a.loss == b.loss);
    CHECK(a.grad_norm == doctest::Approx(b.grad_norm).epsilon(1e-13));
  }
  static void check_control(const StepControl& a, const StepControl& b, double tolerance) {
    CHECK(a.step == b.step);
    CHECK(a.non_finite_at == b.non_finite_at);
    CHECK(std::fabs(a.grad_norm - b.grad_norm) <= tolerance * b.grad_norm);
    CHECK(a.loss_sum == b.loss_sum);
    CHECK(a.losses == b.losses);
    CHECK(a.applied == b.applied);
  }
};

constexpr StepSettings kSettings{.lr = 0.1,
                                 .momentum = -1,
                                 .lrs = nullptr,
                                 .momenta = nullptr,
                                 .steps = 0,
                                 .grad_scale = 0.7,
                                 .clip_norm = 0,
                                 .skip_non_finite = true,
                                 .forget_non_finite = false};

template <class T, class Rule>
void check_steps(const Rule& rule, const StepSettings& settings, bool scheduled) {
  constexpr int kSteps = 4;
  const Stream stream;
  const Cuda cuda{stream};
  Blocks<T, Rule> blocks;
  const std::vector<T> before = blocks.weight.host;
  for (int i = 0; i < kSteps; ++i) {
    blocks.step(Cpu{}, rule, settings, scheduled);
    blocks.step(cuda, rule, settings, scheduled);
  }
  blocks.check(6 * kSteps);  // a step rounds a weight and its state up to six times
  CHECK(blocks.control.host[0].step == kSteps);
  CHECK(blocks.updates.host[0] == kSteps);
  CHECK(blocks.updates.host[kIdle] == 0);
  CHECK(blocks.records.host[0].loss == static_cast<double>(0.7f));
  const auto idle = std::find_if(blocks.pieces.host.begin(), blocks.pieces.host.end(),
                                 [](const UpdatePiece& p) { return p.segment == kIdle; });
  for (int64_t i = 0; i < idle->size; ++i)
    CHECK(static_cast<double>(blocks.weight.host[idle->begin + i]) ==
          static_cast<double>(before[idle->begin + i]));
}

constexpr AdamRule kAdamW{.eps = 1e-8, .maximize = false, .decoupled = true};

}  // namespace

TEST_CASE_TEMPLATE("steps of SGD equal the CPU's", T, float, double, bfloat16) {
  StepSettings settings = kSettings;
  for (int form = 0; form < 8; ++form) {
    CAPTURE(form);
    const SgdRule rule{.dampening = form & 1 ? 0.0 : 0.2,
                       .nesterov = (form & 1) != 0,
                       .maximize = (form & 2) != 0,
                       .lr_inside = (form & 4) != 0};
    settings.clip_norm = form & 2 ? 10.0 : 0.0;
    check_steps<T>(rule, settings, (form & 4) != 0);
  }
  settings.momentum = 0;  // of the steps, of segments that have a buffer
  check_steps<T>(SgdRule{.dampening = 0, .nesterov = true, .maximize = false, .lr_inside = false}, settings,
                 false);
}

TEST_CASE_TEMPLATE("steps of Adam equal the CPU's", T, float, double, bfloat16) {
  StepSettings settings = kSettings;
  settings.clip_norm = 5.0;
  for (const bool decoupled : {false, true}) {
    const AdamRule rule{.eps = 1e-8, .maximize = !decoupled, .decoupled = decoupled};
    for (const bool scheduled : {false, true}) check_steps<T>(rule, settings, scheduled);
  }
}

TEST_CASE_TEMPLATE("a launch for each piece does what one does for all", T, float, bfloat16) {
  const ChosenVariant per_piece(variants_of("adamw", "cuda"), "per_piece");
  check_steps<T>(kAdamW, kSettings, false);
}

TEST_CASE("squares that no float holds") {
  const Stream stream;
  const DeviceArray<float> x(std::vector<float>(67, 1e30f));
  const DeviceArray<UpdatePiece> pieces(std::vector<UpdatePiece>{{0, 0, 3}, {64, 0, 3}});
  const DeviceArray<int32_t> has_grad(std::vector<int32_t>{1});
  const DeviceArray<double> partials(2);
  squares_of_pieces<float>(Cuda{stream}, x.data(), {pieces.data(), 2, has_grad.data()}, partials.data());
  const double one = 1e30f;
  for (const double partial : partials.values()) CHECK(partial == doctest::Approx(3 * one * one));
}

TEST_CASE("from a step on that is not finite nothing is updated") {
  const Stream stream;
  const Cuda cuda{stream};
  for (const bool bad_loss : {false, true}) {
    Blocks<float, AdamRule> blocks;
    const auto on_card = [&](const StepSettings& settings) {
      blocks.step(cuda, kAdamW, settings, false);
      return blocks.control.device.values()[0];
    };
    CHECK(on_card(kSettings).applied == 1);
    const std::vector<float> before = blocks.weight.device.values(), moments = blocks.state0.device.values();
    const float nan = NAN;
    float* const spoilt = bad_loss ? blocks.loss.device.data() : blocks.grad.device.data() + 128;
    float good = 0;
    GALVAN_CUDA_CALL(cudaMemcpy(&good, spoilt, sizeof(float), cudaMemcpyDeviceToHost));
    copy_to_card(spoilt, &nan, sizeof(float));
    CHECK(on_card(kSettings).non_finite_at == 1);
    copy_to_card(spoilt, &good, sizeof(float));
    const StepControl later = on_card(kSettings);
    CHECK(later.applied == 0);
    CHECK(later.non_finite_at == 1);
    CHECK(later.step == 1);
    CHECK(blocks.weight.device.values() == before);
    CHECK(blocks.state0.device.values() == moments);
    CHECK(blocks.updates.device.values()[0] == 1);
    StepSettings again = kSettings;
    again.forget_non_finite = true;
    CHECK(on_card(again).step == 2);
    CHECK(blocks.weight.device.values() != before);
  }
}

TEST_CASE_TEMPLATE("a captured step replays as eager steps, bit for bit", T, float, bfloat16) {
  const Stream stream;
  const Cuda cuda{stream};
  constexpr int kSteps = 5;
  StepSettings settings = kSettings;
  settings.clip_norm = 5.0;
  Blocks<T, AdamRule> eager, replayed;
  for (int i = 0; i < kSteps; ++i) eager.step(cuda, kAdamW, settings, true);

  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  GALVAN_CUDA_CALL(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  replayed.step(cuda, kAdamW, settings, true);
  GALVAN_CUDA_CALL(cudaStreamEndCapture(stream, &graph));
  GALVAN_CUDA_CALL(cudaGraphInstantiate(&exec, graph, 0));
  for (int i = 0; i < kSteps; ++i) GALVAN_CUDA_CALL(cudaGraphLaunch(exec, stream));
  stream.synchronize();
  GALVAN_CUDA_CALL(cudaGraphExecDestroy(exec));
  GALVAN_CUDA_CALL(cudaGraphDestroy(graph));

  check_close(replayed.weight.device.values(), eager.weight.device.values(), 0);
  check_close(replayed.master.device.values(), eager.master.device.values(), 0);
  check_close(replayed.state0.device.values(), eager.state0.device.values(), 0);
  check_close(replayed.state1.device.values(), eager.state1.device.values(), 0);
  Blocks<T, AdamRule>::check_control(replayed.control.device.values()[0], eager.control.device.values()[0],
                                     0);
  CHECK(replayed.control.device.values()[0].step == kSteps);
  CHECK(replayed.updates.device.values() == eager.updates.device.values());
}
