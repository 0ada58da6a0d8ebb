"""What the embedding classes of LangChain and LlamaIndex get from the server at the URL given, as JSON.

Run by the interpreter of an environment of their own: they need an older google-genai.
"""

import json
import sys

from langchain_google_genai import GoogleGenerativeAIEmbeddings
from langchain_openai import OpenAIEmbeddings
from llama_index.embeddings.google_genai import GoogleGenAIEmbedding
from llama_index.embeddings.openai import OpenAIEmbedding

URL = sys.argv[1]
TEXTS = ["one", "two"]

langchain_gemini = GoogleGenerativeAIEmbeddings(model="models/nano", google_api_key="none", base_url=URL)
langchain_openai = OpenAIEmbeddings(model="nano", api_key="none", base_url=f"{URL}/v1", check_embedding_ctx_length=False)
llama_gemini = GoogleGenAIEmbedding(model_name="nano", api_key="none", http_options={"base_url": URL})
llama_openai = OpenAIEmbedding(model_name="nano", api_key="none", api_base=f"{URL}/v1")

print(
    json.dumps(
        {
            "langchain gemini documents": langchain_gemini.embed_documents(TEXTS),
            "langchain gemini query": [langchain_gemini.embed_query("one")],
            "langchain openai": langchain_openai.embed_documents(TEXTS),
            "llamaindex gemini documents": llama_gemini.get_text_embedding_batch(TEXTS),
            "llamaindex gemini query": [llama_gemini.get_query_embedding("one")],
            "llamaindex openai": llama_openai.get_text_embedding_batch(TEXTS),
        }
    )
)
