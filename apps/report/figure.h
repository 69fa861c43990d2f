// One chart of a report: drawn as SVG for readers without scripts, with its points beside it, from which report.js
// draws it anew in the reader's width, with values under the pointer.
#pragma once

#include <string>
#include <vector>

namespace galvan::report {

enum class CurveStyle {
  line,
  dotted,  // a line with a dot at every value
  dots,    // the dots alone
  steps    // a value holds until the next
};

struct Curve {
  std::string name = {};  // in the legend, once for all that share it
  std::vector<double> x = {}, y = {};
  std::vector<double> low = {},
                      high = {};  // the range of what each y is the mean of; empty: each is one value
  CurveStyle style = CurveStyle::line;
  size_t colour = 0;                    // a place in the palette, which goes round
  bool noisy = false;                   // may be smoothed
  int run = -1;                         // whose clock turns steps into time and tokens; -1: x is no step
  std::vector<std::string> words = {};  // what each point says of itself, or none
};

struct Mark {
  double at = 0;
  std::string label = {};
};

struct Figure {
  std::string id = {}, title = {}, unit = {};  // the unit of y
  std::string note = {};                       // a sentence under the title
  std::string x_label = "step";
  std::vector<Curve> curves = {};
  std::vector<Mark> marks = {};           // vertical lines
  std::vector<Mark> levels = {};          // horizontal lines
  std::vector<std::string> x_names = {};  // where x is a choice: the names of 0, 1, 2, ...
  bool log_x = false, log_y = false;
  bool from_zero = false;  // y begins at 0
  bool small = false;      // one of several side by side
};

// At most `most` points of a curve, and where that drops some, the mean, lowest and highest of each stretch, so that no
// spike is lost. What is not finite is left out.
Curve thinned(const std::vector<double>& x, const std::vector<double>& y, size_t most = 800);

// The points of a curve of straight pieces, such as a schedule, without those that lie on the line between others.
Curve pieces(const std::vector<double>& x, const std::vector<double>& y);

// A <figure> with heading, legend, chart, and a table of some of its values.
std::string to_html(const Figure& figure);

// Text as HTML has it, its line breaks kept; and JSON for a <script> element, whatever texts it holds.
std::string escape(const std::string& text);
std::string script_json(const std::string& json);

// A number in six digits at most: 0.00123457, 1.5e-07, 81,920.
std::string figure_text(double value);
// Rounded to what a chart can show, so that it takes few bytes; JSON's null where it is not finite.
std::string json_number(double value);

}  // namespace galvan::report
