#include "optim/schedule_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/check.h"
#include "optim/schedule_policies.h"

namespace galvan {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::pair<std::string_view, CyclicMode> kCyclicModes[] = {{"triangular", CyclicMode::triangular},
                                                                    {"triangular2", CyclicMode::triangular2},
                                                                    {"exp_range", CyclicMode::exp_range}};
constexpr std::pair<std::string_view, ScaleMode> kScaleModes[] = {{"cycle", ScaleMode::cycle},
                                                                  {"iterations", ScaleMode::iterations}};
constexpr std::pair<std::string_view, Anneal> kAnneals[] = {{"cos", Anneal::cos}, {"linear", Anneal::linear}};

template <class Table, class Enum>
std::string_view name_in(const Table& table, Enum value) {
  for (const auto& [name, entry] : table)
    if (entry == value) return name;
  return "?";
}

template <class Table>
auto parse_in(const Table& table, std::string_view option, std::string_view text) {
  std::string choices;
  for (const auto& [name, value] : table) {
    if (name == text) return value;
    choices += (choices.empty() ? "" : ", ") + std::string(name);
  }
  fail(option, ": unknown value \"", text, "\", choose from ", choices);
}

// The options of each policy, once, for writing, reading and describing: f(name, field).
template <class F>
void each_field(FixedLR& o, F f) {
  f("lr", o.lr);
}

template <class F>
void each_field(StepLR& o, F f) {
  f("lr", o.lr), f("step_size", o.step_size), f("gamma", o.gamma);
}

template <class F>
void each_field(ExponentialLR& o, F f) {
  f("lr", o.lr), f("gamma", o.gamma);
}

template <class F>
void each_field(CosineAnnealingLR& o, F f) {
  f("lr", o.lr), f("T_max", o.T_max), f("eta_min", o.eta_min);
}

template <class F>
void each_field(CosineWarmupLR& o, F f) {
  f("lr", o.lr), f("min_lr", o.min_lr), f("warmup", o.warmup), f("decay_steps", o.decay_steps);
}

template <class F>
void each_field(CyclicLR& o, F f) {
  f("base_lr", o.base_lr), f("max_lr", o.max_lr);
  f("step_size_up", o.step_size_up), f("step_size_down", o.step_size_down);
  f("mode", o.mode), f("gamma", o.gamma), f("scale_fn", o.scale_fn), f("scale_mode", o.scale_mode);
  f("cycle_momentum", o.cycle_momentum), f("base_momentum", o.base_momentum),
      f("max_momentum", o.max_momentum);
}

template <class F>
void each_field(OneCycleLR& o, F f) {
  f("max_lr", o.max_lr), f("total_steps", o.total_steps);
  f("epochs", o.epochs), f("steps_per_epoch", o.steps_per_epoch);
  f("pct_start", o.pct_start), f("anneal_strategy", o.anneal_strategy);
  f("cycle_momentum", o.cycle_momentum), f("base_momentum", o.base_momentum),
      f("max_momentum", o.max_momentum);
  f("div_factor", o.div_factor), f("final_div_factor", o.final_div_factor), f("three_phase", o.three_phase);
}

template <class F>
void each_field(SequentialLR& o, F f) {
  f("schedules", o.schedules), f("milestones", o.milestones);
}

// Writing. A null is left out.
Json write(const Schedule& schedule);
Json write(double value) { return value; }
Json write(int64_t value) { return value; }
Json write(bool value) { return value; }
Json write(CyclicMode value) { return to_string(value); }
Json write(ScaleMode value) { return to_string(value); }
Json write(Anneal value) { return to_string(value); }
Json write(const std::optional<int64_t>& value) { return value ? Json(*value) : Json(); }
Json write(const std::function<double(double)>& f) { return f ? Json("function") : Json(); }

template <class T>
Json write(const std::vector<T>& values) {
  Json list = Json::array();
  for (const T& value : values) list.push_back(write(value));
  return list;
}

Json write(const Schedule& schedule) {
  Json json{{"policy", schedule.name()}};
  SchedulePolicy policy = schedule.policy();
  std::visit(
      [&](auto& options) {
        each_field(options, [&](const char* name, const auto& field) {
          if (Json value = write(field); !value.is_null()) json[name] = std::move(value);
        });
      },
      policy);
  return json;
}

// Reading. `where` is "CyclicLR: base_lr".
Schedule read_schedule(const Json& json);

void read(const Json& json, const std::string& where, double& value) {
  check(json.is_number(), where, " must be a number, got ", json);
  value = json;
}

void read(const Json& json, const std::string& where, int64_t& value) {
  check(json.is_number_integer(), where, " must be a whole number, got ", json);
  value = json;
}

void read(const Json& json, const std::string& where, bool& value) {
  check(json.is_boolean(), where, " must be true or false, got ", json);
  value = json;
}

void read(const Json& json, const std::string& where, std::optional<int64_t>& value) {
  read(json, where, value.emplace());
}

std::string read_name(const Json& json, const std::string& where) {
  check(json.is_string(), where, " must be a name in quotes, got ", json);
  return json;
}

void read(const Json& json, const std::string& where, CyclicMode& value) {
  value = parse_in(kCyclicModes, where, read_name(json, where));
}

void read(const Json& json, const std::string& where, ScaleMode& value) {
  value = parse_in(kScaleModes, where, read_name(json, where));
}

void read(const Json& json, const std::string& where, Anneal& value) {
  value = parse_in(kAnneals, where, read_name(json, where));
}

void read(const Json&, const std::string& where, std::function<double(double)>&) {
  fail(where, " cannot be read from text: it is code");
}

template <class T>
void read(const Json& json, const std::string& where, std::vector<T>& values) {
  check(json.is_array(), where, " must be a list, got ", json);
  for (const Json& entry : json) {
    if constexpr (std::is_same_v<T, Schedule>)
      values.push_back(read_schedule(entry));
    else
      read(entry, where, values.emplace_back());
  }
}

template <class Policy>
Schedule read_options(const Json& json, const std::string& name) {
  Policy options;
  size_t known = 1;  // "policy"
  std::string names;
  each_field(options, [&](const char* field, auto& value) {
    names += (names.empty() ? "" : ", ") + std::string(field);
    const auto entry = json.find(field);
    if (entry == json.end()) return;
    read(*entry, name + ": " + field, value);
    ++known;
  });
  if (known != json.size())
    for (const auto& [key, value] : json.items())
      check(key == "policy" || (", " + names + ",").find(", " + key + ",") != std::string::npos, name,
            ": unknown option \"", key, "\", it has ", names);
  return options;
}

// Tries the policies of the variant one by one.
template <size_t I = 0>
Schedule read_policy(const Json& json, const std::string& name, std::string choices = "") {
  if constexpr (I < std::variant_size_v<SchedulePolicy>) {
    using Policy = std::variant_alternative_t<I, SchedulePolicy>;
    const std::string own(policy_name(Policy{}));
    if (own == name) return read_options<Policy>(json, name);
    return read_policy<I + 1>(json, name, choices + (I == 0 ? "" : ", ") + own);
  } else {
    fail("schedule: unknown policy \"", name, "\", choose from ", choices);
  }
}

Schedule read_schedule(const Json& json) {
  check(json.is_object() && json.contains("policy"), "schedule: must be an object with a \"policy\", got ",
        json);
  return read_policy(json, read_name(json["policy"], "schedule: policy"));
}

// CyclicLR(base_lr=0.001, max_lr=0.1, ...)
std::string prose(const Json& json) {
  if (json.is_string()) return json;
  std::string text;
  if (json.is_array()) {
    for (const Json& entry : json) text += (text.empty() ? "" : ", ") + prose(entry);
    return "[" + text + "]";
  }
  if (!json.is_object()) return json.dump();
  for (const auto& [key, value] : json.items())
    if (key != "policy") text += (text.empty() ? "" : ", ") + key + "=" + prose(value);
  return prose(json["policy"]) + "(" + text + ")";
}

bool has_function(const Schedule& schedule) {
  if (const auto* cyclic = std::get_if<CyclicLR>(&schedule.policy())) return cyclic->scale_fn != nullptr;
  if (const auto* sequence = std::get_if<SequentialLR>(&schedule.policy()))
    return std::ranges::any_of(sequence->schedules, has_function);
  return false;
}

}  // namespace

std::string_view to_string(CyclicMode mode) { return name_in(kCyclicModes, mode); }
std::string_view to_string(ScaleMode mode) { return name_in(kScaleModes, mode); }
std::string_view to_string(Anneal anneal) { return name_in(kAnneals, anneal); }

CyclicMode parse_cyclic_mode(std::string_view name) { return parse_in(kCyclicModes, "mode", name); }
ScaleMode parse_scale_mode(std::string_view name) { return parse_in(kScaleModes, "scale_mode", name); }
Anneal parse_anneal(std::string_view name) { return parse_in(kAnneals, "anneal_strategy", name); }

std::string to_json(const Schedule& schedule) {
  check(!has_function(schedule), "CyclicLR: scale_fn cannot be written as text: it is code");
  return write(schedule).dump();
}

Schedule schedule_from_json(std::string_view text) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::exception&) {
    fail("schedule: not JSON: ", text.substr(0, 60));
  }
  return read_schedule(json);
}

std::string describe(const Schedule& schedule) { return prose(write(schedule)); }

}  // namespace galvan
