// Hugging Face's tokenizer.json, version 1.0.
//
//   character   WordLevel model, every character split off
//   byte, bpe   BPE model over GPT-2's byte alphabet: every byte is shown as one printable character (the
//               space as Ġ)
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/bpe.h"

namespace galvan {

// Throws Error with one line when the text is no tokenizer.json or uses what is not supported here.
std::unique_ptr<Tokenizer> read_tokenizer_json(std::string_view json);

std::string character_tokenizer_json(const std::vector<std::string>& characters);

std::string bpe_tokenizer_json(const std::vector<std::string>& tokens, const std::vector<BpeMerge>& merges,
                               const std::vector<AddedToken>& added, bool split_words);

// The 256 bytes in the order of the characters that stand for them: the order of the first ids of a trained
// BPE.
const std::array<unsigned char, 256>& byte_alphabet_order();

}  // namespace galvan
