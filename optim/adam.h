// Adam and AdamW, to the letter of torch.optim:
//
//   AdamW:  p = p (1 - lr weight_decay)         Adam:  g = g + weight_decay p
//   m = beta1 m + (1 - beta1) g
//   v = beta2 v + (1 - beta2) g^2
//   p = p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)        t: updates of this parameter
//
// Sources: Kingma & Ba, arXiv:1412.6980; Loshchilov & Hutter, arXiv:1711.05101.
#pragma once

#include "optim/optimizer.h"

namespace galvan {

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9;    // in [0, 1)
  double beta2 = 0.999;  // in [0, 1)
  double eps = 1e-8;
  double weight_decay = 0.0;
  bool maximize = false;
};

class Adam : public Optimizer {
 public:
  // Throws "Adam: beta1 1 is not in [0, 1)" and the like.
  Adam(const std::vector<NamedTensor>& parameters, const AdamOptions& options);
  Adam(std::vector<ParameterGroup> groups, const AdamOptions& options);

  const char* name() const override { return decoupled_ ? "adamw" : "adam"; }

 protected:
  Adam(std::vector<ParameterGroup> groups, const AdamOptions& options, bool decoupled);
  void check_momentum(double momentum) const override;
  void launch(const StepSettings& settings) const override;

 private:
  AdamOptions options_;
  bool decoupled_;  // weight decay apart from the gradient
};

// PyTorch's default decay of AdamW is 0.01; here too decay is 0 unless given.
class AdamW : public Adam {
 public:
  AdamW(const std::vector<NamedTensor>& parameters, const AdamOptions& options)
      : AdamW(std::vector<ParameterGroup>{{.parameters = parameters}}, options) {}
  AdamW(std::vector<ParameterGroup> groups, const AdamOptions& options)
      : Adam(std::move(groups), options, true) {}
};

}  // namespace galvan
