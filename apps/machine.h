// What the machine is, what built this program, and what its memory can do at most; core/cpu/peak.h measures its arithmetic.
#pragma once

#include <cstdint>
#include <string>

namespace galvan {

std::string processor_name();

std::string compiler_name();  // that built this program, with its version
// The commit that this program was built from, with "-dirty" if more was changed; "not known" outside of a git checkout.
const char* commit();

// Bytes of memory that this process may use: the machine's, or less in a container.
int64_t physical_memory();

// Bytes per second, read and written, of copying what no cache holds.
double measure_copy_bandwidth();

}  // namespace galvan
