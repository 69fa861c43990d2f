// Where an address of the program's code comes from.
#pragma once

#include <string>

namespace galvan::sim {

// "cuda/softmax.cu:42": the line that made the call which returns to `code`, by the system's addr2line, and
// without the file's part up to the source folder. What is inlined from core/, the simulator or the system's headers
// counts as its caller. Takes a tenth of a second: for messages.
std::string source_line(const void* code);

// A distance that is the same in every run, and back.
size_t code_offset(const void* code);
const void* code_at(size_t offset);

// Whether the address is of a constant of the program.
bool is_constant(const void* address);

}  // namespace galvan::sim
