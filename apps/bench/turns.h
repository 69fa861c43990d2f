// Two builds of `galvan` on the same rows, in turn: both are there all the time, and of each row one is timed, then the
// other (A B, B A, A B, ...), so that the two of a pair are milliseconds apart.
//
// Each is `galvan bench worker` with the options of the rows, which is told what to do line by line on its standard
// input, a socket that takes the answers too:
//
//   rows         the answer: how many there are, and a line for the key of each (apps/bench/table.h)
//   ready I      makes row I ready, and no other any more: "right", or what is wrong with it
//   time I       the seconds of a call, by a clock that looks for some milliseconds
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apps/bench/measure.h"
#include "apps/bench/verdict.h"

namespace galvan {

// What a worker does until its standard input ends.
void serve_turns(const BenchOptions& options);

struct TurnsOptions {
  std::string old_program, new_program;
  std::vector<std::string> arguments;  // of a worker: `bench worker ...`
  int64_t pairs = 0;                   // 0: by the alarm rate
  double alarm_rate = 0.05;
};

struct Turns {
  std::vector<std::string> keys = {};   // of the rows that both have
  std::vector<Times> times = {};        // of each, in pairs
  std::vector<std::string> wrong = {};  // what one of the two has wrong; not among the rows
  size_t alone = 0;                     // rows that one of the two has
  int64_t pairs = 0;
};

// `on_row` is told of each row when it is done. Throws when one of the two cannot be started or stops answering.
Turns take_turns(const TurnsOptions& options, const std::function<void(const std::string& key)>& on_row);

// The pairs of a table of so many rows where nobody says: more than a verdict needs at least, for a few may disagree.
int64_t usual_pairs(size_t rows, double alarm_rate);

// The file of --json beside --against.
std::string to_json(const Turns& turns);

}  // namespace galvan
