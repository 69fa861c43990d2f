// Stochastic gradient descent with momentum, to the letter of torch.optim.SGD:
//
//   g = -grad if maximize, else grad
//   g = g + weight_decay p
//   b = momentum b + (1 - dampening) g      (a parameter's first update: b = g)
//   d = g + momentum b with nesterov, else b
//   p = p - lr d
//
// MomentumForm::classic keeps the learning rate in the buffer, as Caffe and Smith's papers do:
//   v = momentum v + lr (1 - dampening) g;  p = p - v   (nesterov: p = p - (lr g + momentum v))
// Both agree while the learning rate is constant, and differ under a cycle.
//
// Sources: Polyak 1964; Sutskever et al., ICML 2013 (nesterov, in the form PyTorch gives it).
#pragma once

#include "optim/optimizer.h"

namespace galvan {

enum class MomentumForm { torch, classic };

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0.0;
  double dampening = 0.0;     // what of each gradient the buffer leaves out
  double weight_decay = 0.0;  // L2, added to the gradient
  bool nesterov = false;      // needs momentum > 0 and dampening == 0
  bool maximize = false;
  MomentumForm momentum_form = MomentumForm::torch;
};

class SGD : public Optimizer {
 public:
  // Throws "SGD: lr -1 is negative", "SGD: nesterov needs momentum > 0 and dampening 0, ...".
  SGD(const std::vector<NamedTensor>& parameters, const SGDOptions& options);
  SGD(std::vector<ParameterGroup> groups, const SGDOptions& options);

  const char* name() const override { return "sgd"; }

 protected:
  void launch(const StepSettings& settings) const override;

 private:
  SGDOptions options_;
};

}  // namespace galvan
