// Two builds of `galvan` on the same rows, in turn. A process has weather of its own that lasts: where its threads were
// put, what memory it was given. So a pair of times comes from a pair of processes, and the next pair from fresh ones. Both
// are there at once, and of each row one is timed, then the other (A B B A, the next pair B A A B), milliseconds apart; of
// each the fastest counts, which is the one that least came between.
//
// Each is `galvan bench worker` with the options of the rows, which is told what to do line by line on its standard
// input, a socket that takes the answers too:
//
//   rows         the answer: how many there are, and a line for the key of each (apps/bench/table.h)
//   check I      makes row I ready, and no other any more: "right", or what is wrong with it
//   ready I      the same without looking whether it is right
//   time I       the seconds of a call, the fastest of some milliseconds
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apps/bench/measure.h"
#include "apps/bench/verdict.h"

namespace galvan {

// What a worker does until its standard input ends.
void serve_turns(const BenchOptions& options, Device device);

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

// `on_pair` is told of each pair of processes that is done, how many there will be. Throws when one of the two cannot be started or stops answering.
Turns take_turns(const TurnsOptions& options, const std::function<void(int64_t done, int64_t of)>& on_pair);

// The pairs of a table of so many rows where nobody says: with them a tenth is found on a machine on which one process in
// three is a third slower than the others for as long as it lives (tests/apps/bench_turns.json).
int64_t usual_pairs(size_t rows, double alarm_rate);

// The file of --json beside --against.
std::string to_json(const Turns& turns);

}  // namespace galvan
