// The official SDK for JavaScript against the gateway: one scenario by name, its findings as JSON.
import OpenAI from 'openai'

const [scenario, model] = process.argv.slice(2)
const client = new OpenAI({
  baseURL: process.env.GATEWAY_URL,
  apiKey: process.env.GATEWAY_KEY,
  maxRetries: 0,
})
const messages = [{ role: 'user', content: 'Привет!' }]
const tools = [
  {
    type: 'function',
    function: {
      name: 'weather',
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    },
  },
]

async function whole() {
  const answer = await client.chat.completions.create({ model, messages })
  return { text: answer.choices[0].message.content, usage: answer.usage, id: answer.id }
}

async function stream() {
  let text = ''
  let usage = null
  const request = { model, messages, stream: true, stream_options: { include_usage: true } }
  for await (const chunk of await client.chat.completions.create(request)) {
    text += chunk.choices[0]?.delta?.content ?? ''
    usage = chunk.usage ?? usage
  }
  return { text, usage }
}

async function toolLoop() {
  const first = await client.chat.completions.create({
    model,
    messages,
    tools,
    tool_choice: 'required',
  })
  const said = first.choices[0].message
  const call = said.tool_calls[0]
  const result = { role: 'tool', tool_call_id: call.id, content: '21 degrees' }
  const second = await client.chat.completions.create({
    model,
    messages: [...messages, said, result],
    tools,
  })
  return { called: call.function.name, text: second.choices[0].message.content }
}

// The client's own agent: it runs the tool and asks again until there is an answer.
async function runTools(options = {}) {
  const called = []
  const weather = ({ city }) => {
    called.push(city)
    return '21 degrees'
  }
  const { name, parameters } = tools[0].function
  const runner = client.chat.completions.runTools({
    model,
    messages,
    tools: [{ type: 'function', function: { name, parameters, function: weather, parse: JSON.parse } }],
    ...options,
  })
  const text = await runner.finalContent()
  const { total_tokens: tokens } = await runner.totalUsage()
  return { called, text, tokens }
}

async function runToolsStreamed() {
  return runTools({ stream: true, stream_options: { include_usage: true } })
}

async function modelsListed() {
  const listed = []
  for await (const card of client.models.list()) listed.push(card.id)
  const one = await client.models.retrieve('sandbox/echo')
  return { listed, one: one.id }
}

async function failure() {
  try {
    await client.chat.completions.create({ model, messages })
  } catch (error) {
    return {
      name: error.constructor.name,
      status: error.status,
      code: error.code,
      type: error.type,
      requestId: error.requestID,
    }
  }
  throw new Error('the call did not fail')
}

const scenarios = { whole, stream, toolLoop, runTools, runToolsStreamed, modelsListed, failure }
console.log(JSON.stringify(await scenarios[scenario]()))
