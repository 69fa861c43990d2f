// Attention on random rows.
#pragma once

#include "card.h"

namespace galvan {

template <class T>
class AttentionCase {
 public:
  AttentionCase(Card& card, const AttentionSizes& sizes) : sizes_(sizes) {
    const int64_t q_size = sizes.B * sizes.Tq * sizes.H * sizes.D,
                  k_size = sizes.B * sizes.Tk * sizes.G * sizes.D;
    for (T** x : {&q_, &dy_, &y_}) *x = card.random<T>(q_size);
    for (T** x : {&k_, &v_}) *x = card.random<T>(k_size);
    for (T** x : {&dk_, &dv_}) *x = card.zeros<T>(k_size);
    dq_ = card.zeros<T>(q_size);
    lse_ = card.random<Acc<T>>(sizes.B * sizes.H * sizes.Tq);
  }

  void forward(Cuda on) const {
    attention_forward<T>(on, sizes_, queries<const T>(q_), keys<const T>(k_), keys<const T>(v_), queries(y_),
                         lse_);
  }
  void backward(Cuda on) const {
    attention_backward<T>(on, sizes_, queries<const T>(q_), keys<const T>(k_), keys<const T>(v_),
                          queries<const T>(y_), queries<const T>(dy_), lse_, queries(dq_), keys(dk_),
                          keys(dv_));
  }

 private:
  template <class U>
  HeadRows<U> queries(U* data) const {
    return head_rows(data, sizes_.Tq, sizes_.H, sizes_.D);
  }
  template <class U>
  HeadRows<U> keys(U* data) const {
    return head_rows(data, sizes_.Tk, sizes_.G, sizes_.D);
  }

  AttentionSizes sizes_;
  T *q_, *k_, *v_, *y_, *dy_, *dq_, *dk_, *dv_;
  Acc<T>* lse_;
};

}  // namespace galvan
