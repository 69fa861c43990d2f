// Every barrier and every wait of the kernels is there for a reason: without it the checked simulator finds a mistake.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>

#include "attention_case.h"
#include "branch_case.h"
#include "core/pointwise.h"
#include "cuda/runtime/recorder.h"
#include "cuda/sim/skip.h"
#include "ladder_cases.h"

using namespace galvan;

namespace {

using Case = std::function<void(Card&)>;

template <class T>
void attend(Card& card, const AttentionSizes& sizes) {
  const AttentionCase<T> attention(card, sizes);
  attention.forward(card.on());
  attention.backward(card.on());
}

void norm_gradients(Card& card, int64_t rows, int64_t columns) {
  norm_backward<float>(card.on(), {.dsum = nullptr,
                                   .dy = card.random<float>(rows * columns),
                                   .s = card.random<float>(rows * columns),
                                   .weight = card.random<float>(columns),
                                   .mean = card.random<float>(rows),
                                   .rstd = card.random<float>(rows),
                                   .dx = card.zeros<float>(rows * columns),
                                   .dweight = card.zeros<float>(columns),
                                   .dbias = card.zeros<float>(columns),
                                   .partial = card.zeros<float>(2 * row_blocks(rows) * columns),
                                   .rows = rows,
                                   .columns = columns});
}

template <class T>
Case product_by(const char* version) {
  return [version](Card& card) {
    const ChosenVariant chosen(variants_of("matmul", "cuda"), version);
    gemm(card.on(), dense_product<T>(card, 2, 2, 40));
  };
}

Case sum_by(const char* version) {
  return [version](Card& card) {
    const ChosenVariant chosen(variants_of("sum", "cuda"), version);
    sum<float>(card.on(), card.random<float>(300), card.zeros<float>(1), 1, 300, 1, 1.0);
  };
}

// Small launches, the quickest first, that together come to every barrier and wait of the kernels.
const std::vector<Case> kCases = {
    [](Card& card) {
      strided_copy<float, float>(card.on(), card.random<float>(33 * 40), {1, 33}, card.zeros<float>(33 * 40),
                                 {40, 1}, {33, 40});
    },
    [](Card& card) {
      rope<float>(card.on(),
                  {.B = 1, .H = 1, .T = 1, .D = 66, .position = 0, .theta = 10000, .inverse = false},
                  head_rows<const float>(card.random<float>(66), 1, 1, 66),
                  head_rows(card.zeros<float>(66), 1, 1, 66));
    },
    [](Card& card) { variance<float>(card.on(), card.random<float>(300), card.zeros<float>(1), 1, 300, 1); },
    [](Card& card) {
      const CrossEntropyRows rows{card.array<int32_t>({1030}), 1, 1040, -100, 0.1};
      cross_entropy_forward<float>(card.on(), rows, card.random<float>(1040), card.zeros<float>(1),
                                   card.zeros<float>(1));
    },
    [](Card& card) {  // in place, a row in registers
      float* const logits = card.random<float>(65);
      cross_entropy_both<float>(card.on(), {card.array<int32_t>({40}), 1, 65, -100, 0}, logits,
                                card.random<float>(1), card.zeros<float>(1), logits);
    },
    [](Card& card) {  // in place, a row by a warp
      float* const logits = card.random<float>(130);
      cross_entropy_both<float>(card.on(), {card.array<int32_t>({40}), 1, 130, -100, 0}, logits,
                                card.random<float>(1), card.zeros<float>(1), logits);
    },
    [](Card& card) {  // in place
      float* const logits = card.random<float>(1040);
      cross_entropy_both<float>(card.on(), {card.array<int32_t>({1030}), 1, 1040, -100, 0}, logits,
                                card.random<float>(1), card.zeros<float>(1), logits);
    },
    [](Card& card) {
      read_batch(card.on(), {.begin = 0, .size = 100, .context = 33}, card.zeros<int64_t>(1), 0,
                 card.zeros<int32_t>(100), card.zeros<int32_t>(33), card.zeros<int32_t>(33));
    },
    [](Card& card) {
      const StepSettings settings{.lr = 0.1,
                                  .momentum = 0.9,
                                  .lrs = nullptr,
                                  .momenta = nullptr,
                                  .steps = 0,
                                  .grad_scale = 1,
                                  .clip_norm = 0,
                                  .skip_non_finite = true,
                                  .forget_non_finite = false};
      begin_update<AdamRule, float>(
          card.on(), {.eps = 1e-8, .maximize = false, .decoupled = true},
          {settings, card.array<double>({3, 4}), 2, card.array<SegmentOptions>({{}}),
           card.array<int32_t>({1}), card.zeros<int32_t>(1), 1, card.array<StepControl>({{}}),
           card.array(std::vector<StepRecord>(kStepRecords))},
          card.array(std::vector<AdamRule::Coefficients<float>>(1)));
    },
    [](Card& card) {
      cross_entropy_backward<float>(card.on(), {card.array<int32_t>({3}), 1, 1040, -100, 0},
                                    card.random<float>(1040), card.zeros<float>(1), card.random<float>(1),
                                    card.zeros<float>(1040));
    },
    [](Card& card) { norm_gradients(card, 17, 8); },   // in one launch
    [](Card& card) { norm_gradients(card, 9, 800); },  // in several
    [](Card& card) {
      select_rows_backward<float>(card.on(), card.random<float>(40 * 32),
                                  card.array(std::vector<int32_t>(40)), card.zeros<float>(32), 1, 1, 40, 32,
                                  false);
    },
    [](Card& card) {
      sample<float>(card.on(), {.top_k = 2, .top_p = 0.9}, card.random<float>(129), 129,
                    card.zeros<int32_t>(1));
    },
    [](Card& card) {
      attend<float>(card, {.B = 1, .H = 1, .G = 1, .Tq = 33, .Tk = 33, .D = 8, .causal = false, .scale = 1});
    },
    [](Card& card) {
      attend<bfloat16>(card,
                       {.B = 1, .H = 1, .G = 1, .Tq = 65, .Tk = 65, .D = 8, .causal = false, .scale = 1});
    },
    [](Card& card) {
      attend<bfloat16>(card,
                       {.B = 1, .H = 1, .G = 1, .Tq = 65, .Tk = 33, .D = 8, .causal = false, .scale = 1});
    },
    [](Card& card) {
      const AsReplica as_replica;
      sum<float>(card.on(), card.random<float>(65 * 8), card.zeros<float>(8), 1, 65, 8, 1.0);
    },
    [](Card& card) { gelu_product(card, 17, 8, 8); },               // A in one step
    [](Card& card) { gelu_product(card, 17, 8, 72); },              // in two
    [](Card& card) { MlpBranchCase(card, 17, 64, 32).forward(); },  // through one chunk
    [](Card& card) { MlpBranchCase(card, 17, 64, 96).forward(); },  // through several
    [](Card& card) { MlpBranchCase(card, 33, 64, 96).backward(); },
    [](Card& card) { AttentionBranchCase(card, 1, 33, 64).forward(); },
    [](Card& card) { AttentionBranchCase(card, 1, 49, 64).backward(); },
    [](Card& card) { class_losses(card, 17, 64, 9); },
    sum_by("interleaved"),
    sum_by("sequential"),
    product_by<float>("shared_tiles"),
    product_by<float>("register_tiles"),
    product_by<float>("vector_loads"),
    product_by<float>("warp_tiles"),
    product_by<bfloat16>("tensor_cores"),
};

struct Outcome {
  std::string error;  // what the simulator has found
  std::vector<char> contents;
};

Outcome run(const Case& launch) {
  Outcome outcome;
  try {
    Card card;
    launch(card);
    outcome.contents = card.contents();
  } catch (const Error& error) {
    outcome.error = error.what();
  }
  const std::string found = sim::take_error();
  if (!found.empty()) outcome.error = found;
  return outcome;
}

// "cuda/softmax.cu:42" of each barrier and wait that stands in the kernels' sources.
std::vector<std::string> barriers_in_sources() {
  const std::regex barrier("__syncthreads\\(|__syncwarp\\(|cp_async_wait<");
  std::vector<std::string> lines;
  for (const std::string folder : {"cuda/", "cuda/ladder/"}) {
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path(GALVAN_SOURCE_DIR) / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".cu" && extension != ".h") continue;
      std::ifstream file(entry.path());
      std::string text;
      for (int line = 1; std::getline(file, text); ++line) {
        text.resize(std::min(text.size(), text.find("//")));
        if (std::regex_search(text, barrier))
          lines.push_back(folder + entry.path().filename().string() + ":" + std::to_string(line));
      }
    }
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

}  // namespace

TEST_CASE("without any one of its barriers and waits a kernel is wrong, and the simulator says so") {
  std::map<std::string, std::vector<size_t>> cases_at;
  std::vector<Outcome> expected;
  sim::take_barriers_met();
  for (size_t i = 0; i < kCases.size(); ++i) {
    expected.push_back(run(kCases[i]));
    CHECK(expected.back().error == "");
    for (const std::string& line : sim::take_barriers_met()) cases_at[line].push_back(i);
  }
  const std::vector<std::string> lines = barriers_in_sources();
  CHECK(lines.size() > 20);
  for (const std::string& line : lines) {
    CAPTURE(line);
    CHECK_MESSAGE(cases_at.count(line) == 1, "no case of this file comes to it");
    sim::skip_barriers_of(line);
    bool noticed = false;
    for (const size_t i : cases_at[line]) {
      const Outcome outcome = run(kCases[i]);
      noticed = !outcome.error.empty() || outcome.contents != expected[i].contents;
      if (noticed) break;
    }
    CHECK_MESSAGE(noticed, "nothing goes wrong without it");
  }
  sim::skip_barriers_of("");
}
