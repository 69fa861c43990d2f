// Rows of a CUDA card: on a real one timed; in the simulator how kernels are launched and what they ask of memory, at small
// sizes; and where there is neither, what can be said without.
#pragma once

#include "apps/bench/measure.h"

namespace galvan {

// "h100", "a100": whose ceilings stand for those of a card that cannot be measured.
std::vector<std::string> known_cards();
Ceilings data_sheet(const std::string& card, DType dtype);

// Adds the card's ceilings and rows to the table. `card` names the one that floors are of where no clock means anything;
// in such rows bytes, FLOPs and floor are of `options.shape` or the usual sizes, what the simulator counts of small ones.
// No row has a time then.
void measure_card(const BenchOptions& options, const std::string& card, BenchTable& table,
                  const OnRow& on_row);

// Seconds of a call on a card, the fastest of so many.
double fastest_on_card(const Subject& subject, int calls);

// Why rows of a card have no times here: "the card is simulated", "this build has no CUDA", ...; "": they have.
std::string why_no_times();

}  // namespace galvan
