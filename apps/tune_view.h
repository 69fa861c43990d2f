// What `galvan tune` shows as it goes: on a terminal a table that is rewritten in place, elsewhere a line for each trial
// that begins or ends.
#pragma once

#include <string>
#include <vector>

#include "apps/study_store.h"

namespace galvan {

// A trial that is running here.
struct RunningTrial {
  int64_t number = 0, step = 0, steps = 0;
  double loss = 0, tokens_per_second = 0;
};

// "lr=0.003 momentum=0.9", with four significant digits.
std::string parameters_text(const Point& point);
std::string value_text(double value, StudyMetric metric);

class TuneView {
 public:
  explicit TuneView(const Study& study);
  ~TuneView() { finish(); }
  TuneView(const TuneView&) = delete;
  TuneView& operator=(const TuneView&) = delete;

  bool is_table() const { return terminal_; }
  // What happened to a trial; on a terminal the table tells it.
  void print(const std::string& line);
  // The table, on a terminal.
  void update(const std::vector<StudyTrial>& trials, const std::vector<RunningTrial>& running,
              double minutes);
  // Leaves the table where it stands.
  void finish() { rows_ = 0; }

 private:
  void clear();
  const Study& study_;
  bool terminal_;
  int rows_ = 0;  // of the table that is up
};

// The table's lines, each at most `columns` wide.
std::vector<std::string> tune_table(const Study& study, const std::vector<StudyTrial>& trials,
                                    const std::vector<RunningTrial>& running, double minutes, int columns);

}  // namespace galvan
