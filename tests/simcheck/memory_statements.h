// What the heads of the kernels' files say of the memory that they move, beside launches that show it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "card.h"

namespace galvan {

// A call of kernels of a file, and the bytes by the file's statement: those that differ (what a perfect cache would
// fetch from the card's memory and write back), and all that warps ask for.
struct Traffic {
  std::string what;
  std::function<void(Card&)> run;
  int64_t distinct, asked;
};

struct Statement {
  std::string file;    // in cuda/
  std::string memory;  // its head's paragraph "Memory", in one line
  std::vector<Traffic> traffic;
};

std::vector<Statement> pointwise_statements();
std::vector<Statement> row_statements();
std::vector<Statement> attention_statements();
std::vector<Statement> branch_statements();
std::vector<Statement> optimizer_statements();
std::vector<Statement> ladder_statements();

}  // namespace galvan
