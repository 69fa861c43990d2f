// The command line of a benchmark.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <string>

// Other versions of kernels, for choose_variants (core/variants.h).
inline void add_kernel_option(CLI::App& app, std::string& kernels) {
  app.add_option("--kernel", kernels,
                 "other versions of kernels, of those that galvan bench shows: softmax=naive, or several "
                 "with commas between");
}

// Fills what the app's options are bound to. Ends the process with 0 after --help, and with 2 after a mistake, of which
// it says one line.
inline void parse_or_exit(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {
    std::exit(app.exit(request));
  } catch (const CLI::ParseError& error) {
    std::cerr << app.get_name() << ": " << error.what() << "; --help shows the options\n";
    std::exit(2);
  }
}
