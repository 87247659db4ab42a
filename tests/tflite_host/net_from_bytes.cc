#include "tests/tflite_host/net_from_bytes.h"

#include "tests/tflite_host/drawn_net.h"

namespace int8x::host {

BuiltNet net_from_bytes(const uint8_t* data, size_t size, Host* host) {
  DrawnNet net(Bytes(data, size));
  net.draw();
  net.spoil();
  return net.write(host);
}

}  // namespace int8x::host
