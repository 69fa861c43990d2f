#include "apps/run_metrics.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "models/files.h"

namespace galvan {

RunMetrics read_metrics(const std::filesystem::path& run) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  RunMetrics metrics;
  const std::string text = read_text_file(run / "metrics.jsonl");
  size_t line = 0;
  for (size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    ++line;
    end = std::min(text.find('\n', begin), text.size());
    const auto record = nlohmann::ordered_json::parse(text.data() + begin, text.data() + end, nullptr,
                                                      /*allow_exceptions=*/false);
    if (!record.is_object()) {
      if (end < text.size()) metrics.damaged.push_back(line);
      continue;
    }
    const auto number = [&](const char* key) {
      const auto found = record.find(key);
      return found != record.end() && found->is_number() ? found->get<double>() : nan;
    };
    if (record.contains("loss")) {
      metrics.step.push_back(number("step"));
      metrics.loss.push_back(number("loss"));
      metrics.lr.push_back(number("lr"));
      metrics.momentum.push_back(number("momentum"));
      metrics.grad_norm.push_back(number("grad_norm"));
      metrics.tokens.push_back(number("tokens"));
      metrics.seconds.push_back(number("seconds"));
    } else if (record.contains("grad_norms") && record["grad_norms"].is_object()) {
      metrics.norm_step.push_back(number("step"));
      for (const auto& [layer, norm] : record["grad_norms"].items()) {
        auto place = std::find_if(metrics.norms.begin(), metrics.norms.end(),
                                  [&name = layer](const auto& entry) { return entry.first == name; });
        if (place == metrics.norms.end()) place = metrics.norms.insert(place, {layer, {}});
        place->second.resize(metrics.norm_step.size() - 1, nan);
        place->second.push_back(norm.is_number() ? norm.get<double>() : nan);
      }
      for (auto& [layer, norms] : metrics.norms) norms.resize(metrics.norm_step.size(), nan);
    } else if (record.contains("eval_loss")) {
      metrics.eval_step.push_back(number("step"));
      metrics.eval_loss.push_back(number("eval_loss"));
      metrics.eval_accuracy.push_back(number("eval_accuracy"));
      metrics.eval_perplexity.push_back(number("eval_perplexity"));
      metrics.eval_bits_per_character.push_back(number("eval_bits_per_character"));
    }
  }
  return metrics;
}

}  // namespace galvan
