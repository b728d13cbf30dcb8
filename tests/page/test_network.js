// Tests for network.js.

"use strict";

import { isLoopback, isOffline } from "../../twisted_sse/daemon/page/network.js";
import { equal, test } from "./testing.js";

test("the loopback addresses are those of this machine, as browsers write them", () => {
  const hosts = ["localhost", "localhost.", "shop.localhost", "127.0.0.1", "127.1.2.3", "[::1]"];
  equal(hosts.filter((host) => !isLoopback(host)), []);
  const others = ["", "localhost.example", "mylocalhost", "127.example", "128.0.0.1", "[::2]"];
  equal([...others, "127.0.0.1.example", "192.168.0.1", "0.0.0.0"].filter(isLoopback), []);
});

test("without a network, only a server on this machine can be reached", () => {
  equal(isOffline("shop.example", false), true);
  equal(isOffline("shop.example", true), false);
  equal([isOffline("localhost", false), isOffline("[::1]", false)], [false, false]);
});
