// What a search varies: named parameters, each with its range, some of them there only where another has a certain
// value.
//
//   const SearchSpace space({{.name = "optimizer", .range = Choice{{"sgd"s, "adamw"s}}},
//                            {.name = "lr", .range = LogUniform{1e-4, 1.0}, .grid_points = 5},
//                            {.name = "momentum", .range = Uniform{0.5, 0.99}, .grid_points = 3,
//                             .when = Condition{"optimizer", {"sgd"s}}}});
//   space.grid_size();                          // 5 * 3 + 5
//
// Nothing here knows what the parameters mean.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace galvan {

using ParameterValue = std::variant<bool, int64_t, double, std::string>;

// A text for people: 0.1, sgd, true. Numbers read back to the same bits.
std::string to_text(const ParameterValue& value);

struct Choice {
  std::vector<ParameterValue> values;
};
struct IntRange {  // low, low + step, ... up to high, which is one of them where the steps meet it
  int64_t low = 0, high = 0, step = 1;
};
struct Uniform {
  double low = 0, high = 0;
};
struct LogUniform {  // uniform in the logarithm
  double low = 0, high = 0;
};
using ParameterRange = std::variant<Choice, IntRange, Uniform, LogUniform>;

// The parameter exists where `parameter` exists and has one of these values.
struct Condition {
  std::string parameter;
  std::vector<ParameterValue> values;
};

struct Parameter {
  std::string name;
  ParameterRange range;
  int64_t grid_points = 0;  // of Uniform and LogUniform on a grid, both ends among them
  std::optional<Condition> when = {};
};

// One value for each parameter that exists there.
using Point = std::map<std::string, ParameterValue>;

class SearchSpace {
 public:
  // Throws where a range is empty, its low end not below its high one (or, of a logarithm, not above 0), a choice is
  // there twice, a name too, or a condition names no parameter, a value that it cannot have, or goes round in a circle.
  explicit SearchSpace(std::vector<Parameter> parameters);

  // In an order in which a condition's parameter comes first, else in that of the names.
  const std::vector<Parameter>& parameters() const { return parameters_; }
  bool exists(const Parameter& parameter, const Point& point) const;

  // The points of the grid. As a double: it may be absurd. Throws where a range that is continuous has no grid_points.
  double grid_size() const;
  // Each of them is there once.
  Point grid_point(int64_t index) const;

  // The point whose parameter i is at u[i] of its range, u in [0, 1).
  Point at(const std::vector<double>& u) const;
  // The reverse for one parameter: the middle of the part of [0, 1] that gives this value.
  static double position(const ParameterRange& range, const ParameterValue& value);

 private:
  double grid_size(size_t parameter) const;
  void grid_point(size_t parameter, int64_t index, Point& point) const;
  std::vector<size_t> children(size_t parameter, const ParameterValue& value) const;
  std::vector<size_t> roots() const;

  std::vector<Parameter> parameters_;
};

// The value at u of a range, u in [0, 1).
ParameterValue value_at(const ParameterRange& range, double u);

// How many values a range has; nothing for a continuous one.
std::optional<int64_t> count_values(const ParameterRange& range);

}  // namespace galvan
