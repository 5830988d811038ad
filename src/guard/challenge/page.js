// Fetches the challenge as JSON, has a worker solve it and posts the answer. Starts on a press of
// the button only: no page burns a visitor's battery unasked.
"use strict";

const start = document.getElementById("start");
const done = document.getElementById("done");
const status = document.getElementById("status");
document.getElementById("work").hidden = false;

start.addEventListener("click", async () => {
  start.disabled = true;
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
    start.disabled = false;
  }
});

function say(text) {
  status.textContent = text;
}

async function ask(method, body) {
  const headers = { accept: "application/json" };
  if (body) headers["content-type"] = "application/json";
  const response = await fetch(location.pathname, { method, headers, body });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message);
  return answer;
}

function solve({ token, bits, count }) {
  return new Promise((resolve, reject) => {
    const worker = new Worker("/.stillguard/worker.js");
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
