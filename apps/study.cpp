#include "apps/study.h"

#include <algorithm>
#include <cmath>

#include "apps/text_format.h"
#include "apps/toml_file.h"
#include "apps/train_settings.h"

namespace galvan {
namespace {

const TomlNode* find(const TomlNode::Table& table, const std::string& key) {
  for (const auto& [name, node] : table)
    if (name == key) return &node;
  return nullptr;
}

std::string describe(const TomlNode& node) {
  if (const SettingValue* value = node.plain()) return toml_text(*value);
  return node.list() != nullptr ? "a list" : "a table";
}

class Parser {
 public:
  Parser(const std::string& text, std::string name) : name_(std::move(name)), root_(parse_toml(text, name_)) {
    add_run_options(settings_, train_);
  }

  Study parse() {
    check_keys(root_, {"budget", "fixed", "metric", "pruner", "sampler", "seed", "target", "vary"}, "");
    const auto& fixed = table_of("fixed");
    std::vector<std::pair<std::string, SettingValue>> options;
    for (const auto& [option, node] : fixed) {
      check_option(option, node);
      check(node.plain() != nullptr, at(node), option, ": expected a value, got ", describe(node));
      settings_.set(option, *node.plain(), at_line(node));
      options.emplace_back(option, *node.plain());
    }
    check(find(fixed, "data") != nullptr, name_, ": [fixed] needs data, the text to learn from");
    Study study{.fixed = std::move(options), .space = space()};
    check_uses();
    study.trial_steps = train_.steps;
    parse_metric(study);
    parse_sampler(study);
    parse_budget(study);
    parse_pruner(study);
    return study;
  }

 private:
  std::string at_line(const TomlNode& node) const { return name_ + ":" + std::to_string(node.line); }
  std::string at(const TomlNode& node) const { return at_line(node) + ": "; }
  const TomlNode::Table& root() const { return *root_.table(); }
  bool varies(const std::string& option) const {
    return find(*find(root(), "vary")->table(), option) != nullptr;
  }

  void check_keys(const TomlNode& node, const std::vector<std::string>& keys, const std::string& what) const {
    for (const auto& [key, entry] : *node.table())
      check(std::find(keys.begin(), keys.end(), key) != keys.end(), at(entry), what, "unknown key '", key,
            "'; there are ", joined(keys));
  }

  const TomlNode::Table& table_of(const std::string& key) const {
    const TomlNode* node = find(root(), key);
    check(node != nullptr, name_, ": there is no [", key, "]");
    check(node->table() != nullptr, at(*node), key, ": expected a table, got ", describe(*node));
    return *node->table();
  }

  // The value of `key`, of the type of `otherwise`, which is returned where it is missing.
  template <class T>
  T get(const TomlNode::Table& table, const std::string& key, const T& otherwise,
        const char* expected) const {
    const TomlNode* node = find(table, key);
    if (node == nullptr) return otherwise;
    const SettingValue* value = node->plain();
    if (value != nullptr) {
      if (const T* same = std::get_if<T>(value)) return *same;
      if constexpr (std::is_same_v<T, double>)
        if (const int64_t* whole = std::get_if<int64_t>(value)) return static_cast<double>(*whole);
    }
    fail(at(*node), key, ": expected ", expected, ", got ", describe(*node));
  }

  template <class T>
  std::optional<T> positive(const TomlNode::Table& table, const std::string& key,
                            const char* expected) const {
    const TomlNode* node = find(table, key);
    if (node == nullptr) return {};
    const T value = get<T>(table, key, T{}, expected);
    check(value > 0 && std::isfinite(static_cast<double>(value)), at(*node), key, ": expected ", expected,
          ", got ", describe(*node));
    return value;
  }

  // The index of a text among those that are allowed.
  size_t choose(const TomlNode& node, const std::string& key, const std::vector<std::string>& names) const {
    const auto* text = node.plain() != nullptr ? std::get_if<std::string>(node.plain()) : nullptr;
    check(text != nullptr, at(node), key, ": expected one of ", joined(names), ", got ", describe(node));
    const auto found = std::find(names.begin(), names.end(), *text);
    check(found != names.end(), at(node), key, ": there is no '", *text, "'; there are ", joined(names));
    return static_cast<size_t>(found - names.begin());
  }

  void check_option(const std::string& option, const TomlNode& node) const {
    check(option != "out" && option != "threads", at(node), option,
          ": is not for a study, which gives every trial its own");
    check(option != "epochs", at(node), "epochs: a study counts steps; give steps");
    check(settings_.takes(option), at(node), "unknown option '", option, "' of galvan train");
  }

  SearchSpace space() {
    std::vector<Parameter> parameters;
    for (const auto& [option, node] : table_of("vary")) {
      check_option(option, node);
      check(find(table_of("fixed"), option) == nullptr, at(node), option, ": is among [fixed] too");
      parameters.push_back(parameter(option, node));
    }
    try {
      return SearchSpace(parameters);
    } catch (const Error& error) {  // begins with the parameter's name
      const std::string message = error.what();
      for (const auto& [option, node] : table_of("vary"))
        if (message.starts_with(option + ":")) fail(at(node), message);
      fail(at(*find(root(), "vary")), message);
    }
  }

  Parameter parameter(const std::string& option, const TomlNode& node) {
    constexpr const char* kExpected =
        "expected { choice = [...] }, { int = [low, high] }, { uniform = [low, high] } or { log-uniform = "
        "[low, high] }";
    check(node.table() != nullptr, at(node), option, ": ", kExpected, ", got ", describe(node));
    check_keys(node, {"choice", "int", "uniform", "log-uniform", "step", "points", "when"}, option + ": ");
    const TomlNode::Table& table = *node.table();
    std::string kind;
    for (const char* name : {"choice", "int", "uniform", "log-uniform"}) {
      if (find(table, name) == nullptr) continue;
      check(kind.empty(), at(node), option, ": ", kind, " and ", name, " exclude each other");
      kind = name;
    }
    check(!kind.empty(), at(node), option, ": ", kExpected);
    const TomlNode& range = *find(table, kind);
    check(range.list() != nullptr, at(range), option, ": ", kind, ": expected a list, got ", describe(range));
    std::vector<SettingValue> values;
    for (const TomlNode& element : *range.list()) {
      check(element.plain() != nullptr, at(element), option, ": expected a value, got ", describe(element));
      values.push_back(*element.plain());
    }
    check(kind == "choice" || values.size() == 2, at(range), option, ": ", kind,
          ": expected [low, high], got ", values.size(), " values");

    Parameter p{.name = option, .range = Choice{values}};
    if (kind == "int") {
      const int64_t low = number<int64_t>(values[0], option, range);
      const int64_t step = positive<int64_t>(table, "step", "a whole number above 0").value_or(1);
      p.range = IntRange{low, number<int64_t>(values[1], option, range), step};
    } else if (kind != "choice") {
      const double low = number<double>(values[0], option, range);
      const double high = number<double>(values[1], option, range);
      if (kind == "uniform")
        p.range = Uniform{low, high};
      else
        p.range = LogUniform{low, high};
      for (SettingValue& value : values)  // an option of whole numbers takes no fraction
        value = std::get_if<int64_t>(&value) ? static_cast<double>(std::get<int64_t>(value)) : value;
    }
    for (const SettingValue& value : values) {
      const TrainSettings before = train_;
      settings_.set(option, value, at_line(range));
      train_ = before;
    }
    check(kind == "int" || find(table, "step") == nullptr, at(node), option, ": step is for int");
    p.grid_points = positive<int64_t>(table, "points", "a whole number above 0").value_or(0);
    if (const TomlNode* when = find(table, "when")) p.when = condition(option, *when);
    return p;
  }

  template <class T>
  T number(const SettingValue& value, const std::string& option, const TomlNode& node) const {
    if (const T* same = std::get_if<T>(&value)) return *same;
    if constexpr (std::is_same_v<T, double>)
      if (const int64_t* whole = std::get_if<int64_t>(&value)) return static_cast<double>(*whole);
    fail(at(node), option, ": expected ", std::is_same_v<T, double> ? "numbers" : "whole numbers", ", got ",
         toml_text(value));
  }

  Condition condition(const std::string& option, const TomlNode& node) const {
    check(node.table() != nullptr && node.table()->size() == 1, at(node), option,
          ": when: expected { OTHER = value } or { OTHER = [values] }, got ", describe(node));
    const auto& [other, wanted] = node.table()->front();
    Condition condition{.parameter = other, .values = {}};
    if (wanted.list() != nullptr) {
      for (const TomlNode& element : *wanted.list()) {
        check(element.plain() != nullptr, at(element), option, ": when: expected a value, got ",
              describe(element));
        condition.values.push_back(*element.plain());
      }
    } else {
      check(wanted.plain() != nullptr, at(wanted), option, ": when: expected a value, got ",
            describe(wanted));
      condition.values.push_back(*wanted.plain());
    }
    return condition;
  }

  // An option that does nothing beside the others would be searched for in vain.
  void check_uses() const {
    for (const char* part : {"fixed", "vary"})
      for (const auto& [option, node] : table_of(part)) {
        const SettingUse& use = settings_.use(option);
        if (option == "momentum" && !varies("schedule") && !varies("cycle-momentum"))
          check(!train_.schedule.cycle_momentum ||
                    (train_.schedule.policy != "cyclic" && train_.schedule.policy != "one-cycle"),
                at(node),
                "momentum: does nothing while the schedule moves it: max-momentum and base-momentum "
                "are its bounds, cycle-momentum = false keeps it still");
        if (use.option.empty()) continue;
        const std::string is_for = option + ": is for " + use.option + " " + joined(use.values);
        if (!varies(use.option))
          check(settings_.is_used(option), at(node), is_for, "; this study never has that");
        else if (part == std::string("vary"))
          check(waits_for(node, use), at(node), is_for, "; add when = { ", use.option, " = ",
                toml_text(use.values.front()), " }");
      }
  }

  // Is the parameter there only where its use is?
  bool waits_for(const TomlNode& node, const SettingUse& use) const {
    const TomlNode* when = find(*node.table(), "when");
    const TomlNode* other = find(*find(root(), "vary")->table(), use.option);
    std::vector<ParameterValue> values;
    if (when != nullptr && when->table()->front().name == use.option)
      values = condition("", *when).values;
    else
      for (const TomlNode& element : *find(*other->table(), "choice")->list())
        values.push_back(*element.plain());
    return std::all_of(values.begin(), values.end(), [&](const ParameterValue& value) {
      return std::find(use.values.begin(), use.values.end(), to_text(value)) != use.values.end();
    });
  }

  void parse_metric(Study& study) const {
    const TomlNode* metric = find(root(), "metric");
    if (metric != nullptr)
      study.metric = static_cast<StudyMetric>(
          choose(*metric, "metric", {"validation-loss", "accuracy", "time-to-loss"}));
    const auto target = positive<double>(root(), "target", "a loss above 0");
    const bool wants = study.metric == StudyMetric::time_to_loss;
    check(!wants || target, metric == nullptr ? name_ + ": " : at(*metric),
          "metric: time-to-loss needs target, the loss to come to");
    check(wants || !target, wants ? "" : at_of("target"), "target: is for the metric time-to-loss");
    study.target = target.value_or(0);
    if (train_.validation == 0 && !varies("validation"))
      fail(at(*find(table_of("fixed"), "validation")),
           "validation: expected more than 0, for every metric is of the validation split");
  }

  std::string at_of(const std::string& key) const {
    const TomlNode* node = find(root(), key);
    return node == nullptr ? name_ + ": " : at(*node);
  }

  void parse_sampler(Study& study) const {
    if (const TomlNode* sampler = find(root(), "sampler"))
      study.sampler.kind =
          static_cast<SamplerKind>(choose(*sampler, "sampler", {"grid", "random", "sobol", "tpe"}));
    const int64_t seed = get<int64_t>(root(), "seed", 0, "a whole number");
    check(seed >= 0, at_of("seed"), "seed: expected a whole number from 0 on, got ", seed);
    study.sampler.seed = static_cast<uint64_t>(seed);
    try {
      make_sampler(study.space, study.sampler);
    } catch (const Error& error) {
      fail(at_of("sampler"), error.what());
    }
  }

  void parse_budget(Study& study) const {
    if (find(root(), "budget") != nullptr) {
      const TomlNode::Table& budget = table_of("budget");
      check_keys(*find(root(), "budget"), {"trials", "steps", "minutes"}, "budget: ");
      study.trials = positive<int64_t>(budget, "trials", "a whole number above 0");
      study.steps = positive<int64_t>(budget, "steps", "a whole number above 0");
      study.minutes = positive<double>(budget, "minutes", "a number above 0");
    }
    check(study.sampler.kind == SamplerKind::grid || study.trials || study.steps || study.minutes,
          at_of("budget"), "without a budget this never ends: [budget] needs trials, steps or minutes");
  }

  void parse_pruner(Study& study) const {
    const TomlNode* node = find(root(), "pruner");
    if (node == nullptr) return;
    const std::vector<std::string> kinds = {"none", "median", "asha", "hyperband"};
    PrunerOptions& o = study.pruner;
    if (node->table() == nullptr) {
      o.kind = static_cast<PrunerKind>(choose(*node, "pruner", kinds));
    } else {
      check_keys(*node, {"kind", "min-steps", "reduction", "startup-trials", "warmup-steps"}, "pruner: ");
      const TomlNode* kind = find(*node->table(), "kind");
      check(kind != nullptr, at(*node), "pruner: expected a kind, one of ", joined(kinds));
      o.kind = static_cast<PrunerKind>(choose(*kind, "pruner", kinds));
    }
    const TomlNode::Table none, &table = node->table() == nullptr ? none : *node->table();
    const bool halves = o.kind == PrunerKind::asha || o.kind == PrunerKind::hyperband;
    for (const char* key : {"min-steps", "reduction"})
      check(halves || find(table, key) == nullptr, at(*node), "pruner: ", key, " is for asha and hyperband");
    for (const char* key : {"startup-trials", "warmup-steps"})
      check(o.kind == PrunerKind::median || find(table, key) == nullptr, at(*node), "pruner: ", key,
            " is for median");
    constexpr const char* kWhole = "a whole number above 0";
    // Without evaluations between, the first that can be judged is the last.
    const int64_t first = train_.eval_every > 0 ? train_.eval_every : train_.steps;
    o.min_steps = positive<int64_t>(table, "min-steps", kWhole).value_or(first);
    o.reduction = positive<int64_t>(table, "reduction", kWhole).value_or(o.kind == PrunerKind::asha ? 4 : 3);
    o.max_steps = train_.steps;
    for (const Parameter& parameter : study.space.parameters()) {
      if (parameter.name != "steps") continue;
      o.max_steps = 0;
      if (const auto* range = std::get_if<IntRange>(&parameter.range)) o.max_steps = range->high;
      if (const auto* choice = std::get_if<Choice>(&parameter.range))
        for (const ParameterValue& value : choice->values)
          o.max_steps = std::max(o.max_steps, std::get<int64_t>(value));
    }
    o.startup_trials = get<int64_t>(table, "startup-trials", o.startup_trials, "a whole number");
    o.warmup_steps = get<int64_t>(table, "warmup-steps", o.warmup_steps, "a whole number");
    o.name = "seed " + std::to_string(study.sampler.seed);
    try {
      make_pruner(o);
    } catch (const Error& error) {
      fail(at(*node), error.what());
    }
  }

  std::string name_;
  TomlNode root_;
  Settings settings_;
  TrainSettings train_;
};

}  // namespace

const char* name(StudyMetric metric) {
  switch (metric) {
    case StudyMetric::validation_loss:
      return "validation-loss";
    case StudyMetric::accuracy:
      return "accuracy";
    case StudyMetric::time_to_loss:
      return "time-to-loss";
  }
  return "";
}

Study parse_study(const std::string& text, const std::string& name) { return Parser(text, name).parse(); }

int64_t Study::steps_of(const Point& point) const {
  const auto found = point.find("steps");
  return found == point.end() ? trial_steps : std::get<int64_t>(found->second);
}

std::string Study::options(const Point& point) const {
  std::string text;
  for (const auto& [option, value] : fixed) text += option + " = " + toml_text(value) + "\n";
  for (const auto& [option, value] : point) text += option + " = " + toml_text(value) + "\n";
  return text;
}

}  // namespace galvan
