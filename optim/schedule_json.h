// Schedules as text: what a run's configuration and checkpoints hold. A schedule is its options, so options
// (and the step, which the checkpoint keeps) are all there is to save.
//
//   to_json(CyclicLR{.base_lr = 0.001, .max_lr = 0.1})
//     {"policy":"CyclicLR","base_lr":0.001,"max_lr":0.1,"step_size_up":2000,"mode":"triangular",...}
//
// Numbers are written so that they read back to the same bits.
#pragma once

#include <string>
#include <string_view>

#include "optim/schedule.h"

namespace galvan {

// One line of JSON with every option. Throws for a CyclicLR with a scale_fn: code cannot be written.
std::string to_json(const Schedule& schedule);

// The schedule that to_json wrote; an option that is missing has its default. Throws with one line for text
// that is not JSON, an unknown policy or option, a value of the wrong kind, and options that make no sense.
Schedule schedule_from_json(std::string_view text);

// For people: "CyclicLR(base_lr=0.001, max_lr=0.1, ...)". Takes a scale_fn too.
std::string describe(const Schedule& schedule);

// The names of the enums: "triangular2", "iterations", "cos". The parsers throw and list the choices.
std::string_view to_string(CyclicMode mode);
std::string_view to_string(ScaleMode mode);
std::string_view to_string(Anneal anneal);
CyclicMode parse_cyclic_mode(std::string_view name);
ScaleMode parse_scale_mode(std::string_view name);
Anneal parse_anneal(std::string_view name);

}  // namespace galvan
