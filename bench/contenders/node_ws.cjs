// ws on node, with the native addon that its documentation recommends for speed (bufferutil).
// node node_ws.cjs FD [--tls FILE] [--compression]
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { WebSocketServer } = require("ws");

const [fd, ...rest] = process.argv.slice(2);
const at = rest.indexOf("--tls");
const pem = at < 0 ? null : fs.readFileSync(rest[at + 1]);
const server = pem ? https.createServer({ cert: pem, key: pem }) : http.createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: rest.includes("--compression") });

sockets.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.listen({ fd: Number(fd) });
