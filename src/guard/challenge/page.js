// Fetches the challenge as JSON, has a worker solve it and posts the answer. Starts on a press of
// the button only: no page burns a visitor's battery unasked.
"use strict";

const start = document.getElementById("start");
const done = document.getElementById("done");
const status = document.getElementById("status");
// Not <noscript>: that says nothing where scripts are on but this file never came.
document.getElementById("plain").hidden = true;
document.getElementById("work").hidden = false;

start.addEventListener("click", async () => {
  if (start.getAttribute("aria-disabled") === "true") return;
  // Not `disabled`: that would take the focus from whoever pressed it.
  start.setAttribute("aria-disabled", "true");
  done.value = 0;
  try {
    say("Computing.");
    const challenge = await ask("GET");
    done.max = challenge.count;
    const solution = await solve(challenge);
    say("Sending the result.");
    const answer = await ask("POST", JSON.stringify({ solution }));
    say(answer.message);
  } catch (error) {
    say(error.message);
    start.removeAttribute("aria-disabled");
  }
});

function say(text) {
  status.textContent = text;
}

async function ask(method, body) {
  const headers = { accept: "application/json" };
  if (body) headers["content-type"] = "application/json";
  let answer;
  let ok;
  try {
    const response = await fetch(location.pathname, { method, headers, body });
    ok = response.ok;
    answer = await response.json();
  } catch {
    throw new Error("The server can't be reached. Please press the button again.");
  }
  if (!ok) throw new Error(answer.message);
  return answer;
}

function solve({ token, bits, count }) {
  return new Promise((resolve, reject) => {
    const worker = new Worker("../worker.js");
    const solution = [];
    worker.onerror = () => reject(new Error("This browser could not compute. See below."));
    worker.onmessage = ({ data }) => {
      solution.push(data);
      done.value = solution.length;
      if (solution.length === count) {
        worker.terminate();
        resolve(solution);
      }
    };
    worker.postMessage({ token, bits, count });
  });
}
