"""A server that programs written for Gemini's or OpenAI's embedding API use by changing a base URL (`panvec[serve]`)."""
