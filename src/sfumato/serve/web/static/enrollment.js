// An enrollment file as sfumato.filter.enrollment seals it; docs/formats.md has the layout.

import { write } from "./safetensors.js";

const DOMAIN = "sfumato.enrollment\0";
const NAMES = ["encoder", "encoder_bias", "decoder", "decoder_bias", "code_mean", "code_covariance"];

const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
const utf8 = (text) => new TextEncoder().encode(text);

// Whether this browser can sign: on a page that came over TLS or from this machine, and not too old.
export async function canSign() {
  try {
    await newKey();
    return true;
  } catch {
    return false;
  }
}

export async function newKey() {
  return crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
}

// The key as the PEM file that `sfumato filter enroll --key` reads.
export async function keyFile(key) {
  const der = new Uint8Array(await crypto.subtle.exportKey("pkcs8", key.privateKey));
  const text = btoa(String.fromCharCode(...der)).match(/.{1,64}/g).join("\n");
  return `-----BEGIN PRIVATE KEY-----\n${text}\n-----END PRIVATE KEY-----\n`;
}

export async function seal(made, backbone, key) {
  const header = {
    "sfumato.enrollment": "1",
    backbone,
    mu: String(made.mu),
    sigma: String(made.sigma),
    calibration: made.calibration,
    count: String(made.count),
    owner: hex(await crypto.subtle.exportKey("raw", key.publicKey)),
  };
  const tensors = Object.fromEntries(NAMES.map((name) => {
    const [shape, values] = made.tensors[name];
    return [name, [shape, Float32Array.from(values)]];
  }));
  const signed = await digest(header, tensors);
  header.signature = hex(await crypto.subtle.sign("Ed25519", key.privateKey, signed));
  return write(tensors, header);
}

// SHA-256 over the header, and every tensor's name, shape and bytes.
async function digest(header, tensors) {
  const sorted = Object.fromEntries(Object.keys(header).sort().map((name) => [name, header[name]]));
  const parts = [utf8(DOMAIN), utf8(JSON.stringify(sorted))];
  for (const name of NAMES) {
    const [shape, values] = tensors[name];
    parts.push(utf8(`\0${name}[${shape.join(", ")}]\0`), new Uint8Array(values.buffer));
  }
  return crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer());
}
