import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { useEventSource, useEventStream } from "./events.js";

function Answer({ question }) {
  const [words, setWords] = useState([]);
  const state = useEventStream("answers", {
    method: "POST",
    headers: { "Authorization": "Bearer secret", "Content-Type": "application/json" },
    body: JSON.stringify({ question }),
    onEvent: ({ data }) => setWords((words) => [...words, data]),
  });
  return <p id="answer" data-state={state} aria-live="polite">{words.join(" ") || "…"}</p>;
}

function News() {
  const [questions, setQuestions] = useState([]);
  const [readers, setReaders] = useState(0);
  const state = useEventSource("news", ["question", "readers"], ({ type, data }) => {
    if (type === "readers") setReaders(JSON.parse(data));
    else setQuestions((questions) => [data, ...questions].slice(0, 5));
  });
  return (
    <section data-state={state}>
      <h2>Asked by others <small>{readers} here</small></h2>
      <ul>{questions.map((each, index) => <li key={questions.length - index}>{each}</li>)}</ul>
    </section>
  );
}

function App() {
  const [asked, setAsked] = useState({ question: "", number: 0 });
  const [follows, setFollows] = useState(true);
  function ask(event) {
    event.preventDefault();
    setAsked({ question: new FormData(event.target).get("question"), number: asked.number + 1 });
    event.target.reset();
  }
  // Another key is another Answer. React unmounts the previous one, which closes its stream.
  return (
    <>
      <h1>Ask</h1>
      <form onSubmit={ask}>
        <input name="question" placeholder="Why is the sky blue?" aria-label="Question" autoComplete="off" required />
        <button>Ask</button>
        <button type="button" onClick={() => setAsked({ ...asked, question: "" })}>Stop</button>
      </form>
      {asked.question && <Answer key={asked.number} question={asked.question} />}
      <label><input type="checkbox" checked={follows} onChange={() => setFollows(!follows)} /> Show what others ask</label>
      {follows && <News />}
    </>
  );
}

createRoot(document.querySelector("main")).render(<StrictMode><App /></StrictMode>);
